"""One side of the comparison with TRL, in a process of its own: prints the seconds of each step as one JSON line.

Both sides: same model, prompts, reward functions, LoRA, optimizer, flags and thread count; a learning rate of 1e-6, so
that the lengths stay as they are. Time runs from the end of one step to the end of the next, everything included.
"""

import argparse
import json
import tempfile
import time
from itertools import islice, pairwise
from typing import Any

WARM_UP = 3


def run_ours(options: argparse.Namespace) -> list[float]:
    from workbench import Knobs, RunConfig, Session  # noqa: PLC0415 - each side imports its own

    config = RunConfig(
        task=options.task,
        num_threads=options.threads,
        score_reference=options.record == "all",
        max_steps=options.steps + WARM_UP,
    )
    knobs = Knobs(
        num_generations=8,
        beta=options.beta,
        num_iterations=options.mu,
        learning_rate=1e-6,
        max_completion_length=64,
        loss_type="dapo",
    )
    out = tempfile.mkdtemp() + "/run" if options.record == "all" else None
    session = Session(config, knobs, out=out)
    return _between([time.perf_counter() for _ in session.run()])


def run_trl(options: argparse.Namespace) -> list[float]:
    import torch  # noqa: PLC0415
    from datasets import Dataset  # noqa: PLC0415
    from peft import LoraConfig  # noqa: PLC0415
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback  # noqa: PLC0415
    from trl import GRPOConfig, GRPOTrainer  # noqa: PLC0415

    from workbench.models.location import model_location  # noqa: PLC0415
    from workbench.tasks.registry import get_task  # noqa: PLC0415

    torch.set_num_threads(options.threads)
    marks: list[float] = []

    class Timer(TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            marks.append(time.perf_counter())

    task, place = get_task(options.task), model_location("tiny")
    equal = {"bf16": False, "gradient_checkpointing": False, "disable_dropout": True}
    config = GRPOConfig(
        output_dir=tempfile.mkdtemp(),
        use_cpu=True,
        max_steps=(options.steps + WARM_UP) * options.mu,
        report_to="none",
        disable_tqdm=True,
        logging_steps=1 if options.flags == "equal" else 10,
        save_strategy="no",
        per_device_train_batch_size=64,
        num_generations=8,
        max_completion_length=64,
        num_iterations=options.mu,
        beta=options.beta,
        use_bias_correction_kl=False,
        shuffle_dataset=False,
        learning_rate=1e-6,
        lr_scheduler_type="constant",
        **(equal if options.flags == "equal" else {}),
    )
    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(place),
        processing_class=AutoTokenizer.from_pretrained(place),
        reward_funcs=list(task.reward_functions),
        args=config,
        train_dataset=Dataset.from_list(list(islice(task.examples(0), 8 * (options.steps + WARM_UP)))),
        peft_config=LoraConfig(
            task_type="CAUSAL_LM", r=8, lora_alpha=16, target_modules="all-linear", lora_dropout=0.0
        ),
        callbacks=[Timer()],
    )
    trainer.train()
    return _between(marks[options.mu - 1 :: options.mu])


def _between(marks: list[float]) -> list[float]:
    times = [after - before for before, after in pairwise(marks)]
    return times[WARM_UP - 1 :]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=("ours", "trl"))
    parser.add_argument("--task", default="addition")
    parser.add_argument("--beta", type=float, default=0.0)
    parser.add_argument("--mu", type=int, default=1)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--flags", choices=("equal", "default"), default="equal", help="TRL's")
    parser.add_argument(
        "--record", choices=("memory", "all"), default="memory", help="ours: also the reference and a folder"
    )
    options = parser.parse_args()
    print(json.dumps({"times": run_ours(options) if options.side == "ours" else run_trl(options)}))


if __name__ == "__main__":
    main()
