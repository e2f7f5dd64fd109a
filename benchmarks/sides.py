"""One side of the comparison with TRL, in a process of its own: prints the seconds of each step as one JSON line.

Both sides: same model, prompts, reward functions, LoRA, optimizer and flags; a learning rate of 1e-6, so that the
lengths stay as they are. Time runs from the end of one step to the end of the next, everything included. With
`--lengths equal` nothing ends a completion: the end token is one that the model never writes.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from workbench.models.location import model_location

WARM_UP = 3
NEVER_WRITTEN = 261  # a byte that no sum has


def run_ours(options: argparse.Namespace) -> dict[str, Any]:
    from workbench import Knobs, RunConfig, Session  # noqa: PLC0415 - each side imports its own

    config = RunConfig(
        model=model_folder(options.lengths),
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
    return timed(Session(config, knobs, out=out))[0]


def timed(session: Any) -> tuple[dict[str, Any], list[Any]]:
    """Train; return what was measured, and the records of the steps after the warm-up."""
    marks, records = [], []
    for record in session.run():
        marks.append(time.perf_counter())
        records.append(record)
    measured = records[WARM_UP:]
    found = {
        "times": between(marks),
        "timings": medians([record.timings for record in measured]),
        "limits": medians([record.limits for record in measured]),
        "length": statistics.fmean(record.metrics["completions/mean_length"] for record in measured),
    }
    return found, measured


def run_trl(options: argparse.Namespace) -> dict[str, Any]:
    import torch  # noqa: PLC0415
    from datasets import Dataset  # noqa: PLC0415
    from peft import LoraConfig  # noqa: PLC0415
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback  # noqa: PLC0415
    from trl import GRPOConfig, GRPOTrainer  # noqa: PLC0415

    from workbench.tasks.registry import get_task  # noqa: PLC0415

    if options.threads:
        torch.set_num_threads(options.threads)
    marks: list[float] = []

    class Timer(TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            marks.append(time.perf_counter())

    task, place = get_task(options.task), model_folder(options.lengths)
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
    return {"times": between(marks[options.mu - 1 :: options.mu])}


def model_folder(lengths: str) -> str:
    """Return the folder of the bundled model, or of a copy that never ends a completion."""
    bundled = Path(model_location("tiny"))
    if lengths == "fall":
        return str(bundled)
    folder = Path(tempfile.mkdtemp()) / "endless"
    shutil.copytree(bundled, folder)
    vocabulary = json.loads((bundled / "tokenizer.json").read_text())["model"]["vocab"]
    end = next(token for token, number in vocabulary.items() if number == NEVER_WRITTEN)
    for name, changes in (
        ("config.json", {"eos_token_id": NEVER_WRITTEN}),
        ("generation_config.json", {"eos_token_id": NEVER_WRITTEN}),
        ("tokenizer_config.json", {"eos_token": end}),
    ):
        settings = json.loads((folder / name).read_text()) | changes
        (folder / name).write_text(json.dumps(settings))
    return str(folder)


def medians(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: statistics.median(one[name] for one in found) for name in found[0]}


def between(marks: list[float]) -> list[float]:
    times = [after - before for before, after in pairwise(marks)]
    return times[WARM_UP - 1 :]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=("ours", "trl"))
    parser.add_argument("--task", default="addition")
    parser.add_argument("--beta", type=float, default=0.0)
    parser.add_argument("--mu", type=int, default=1)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=0, help="0: as many as the side takes by itself")
    parser.add_argument("--lengths", choices=("fall", "equal"), default="fall", help="equal: all as long as may be")
    parser.add_argument("--flags", choices=("equal", "default"), default="equal", help="TRL's")
    parser.add_argument(
        "--record", choices=("memory", "all"), default="memory", help="ours: also the reference and a folder"
    )
    options = parser.parse_args()
    print(json.dumps(run_ours(options) if options.side == "ours" else run_trl(options)))


if __name__ == "__main__":
    main()
