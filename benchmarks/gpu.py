"""A step on an NVIDIA GPU against the card's own limits, and against TRL: `python -m benchmarks.gpu`.

A random model of Qwen2.5-0.5B's shape, 8 prompts of addition × G = 8, 256 new tokens: one in 150 000 is an end token.
Decoding is held against one reading of weights and cache a token, the update against its arithmetic, at the rates that
the card reaches in a short test. TRL generates with transformers and computes with the same flags; both run in
bfloat16, each side in a process of its own. The flags make it small enough for a CPU, to see that it works.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from itertools import islice
from typing import Any

import torch
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

from benchmarks.sides import between, timed
from benchmarks.trl import spread
from workbench.models.location import model_location

WARM_UP = 3
NUM_PROMPTS, NUM_GENERATIONS = 8, 8
SIDES = ("ours", "plain", "trl")
TITLES = {"ours": "CUDA graphs", "plain": "without graphs", "trl": "TRL, transformers' generation"}


def main() -> None:
    options = parse()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("This needs an NVIDIA GPU: torch sees no CUDA device here.")
        return
    if options.side is not None:
        run = run_trl if options.side == "trl" else run_ours
        print(json.dumps(run(options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        save_model(folder, options)
        found = {side: run_side(side, folder) for side in SIDES if side not in options.skip}
    for line in report(found, options):
        print(line)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", choices=SIDES, help="run this one alone, on --folder, and print JSON")
    parser.add_argument("--folder", help="the model's")
    parser.add_argument("--skip", nargs="*", choices=SIDES, default=())
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=256, help="new ones in each completion")
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--hidden", type=int, default=896, help="a multiple of 64")
    parser.add_argument("--vocabulary", type=int, default=151_936)
    parser.add_argument("--micro-batch-size", type=int, default=16, help="completions in a forward pass of an update")
    return parser.parse_args(arguments)


def save_model(folder: str, options: argparse.Namespace) -> None:
    """Write a random model in the proportions of Qwen2.5-0.5B, with the bundled tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(model_location("tiny"))
    num_heads = options.hidden // 64
    config = Qwen2Config(
        vocab_size=options.vocabulary,
        hidden_size=options.hidden,
        intermediate_size=options.hidden * 4864 // 896,
        num_hidden_layers=options.layers,
        num_attention_heads=num_heads,
        num_key_value_heads=max(1, num_heads // 7),
        max_position_embeddings=4096,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    torch.manual_seed(0)
    Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def run_side(side: str, folder: str) -> dict[str, Any]:
    """Return what one side measured in a process of its own, or why it could not."""
    command = [sys.executable, "-m", "benchmarks.gpu", *sys.argv[1:], "--side", side, "--folder", folder]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        return {"failed": (done.stderr.strip().splitlines() or ["no word"])[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def run_ours(options: argparse.Namespace) -> dict[str, Any]:
    from workbench import Knobs, RunConfig, Session  # noqa: PLC0415 - each side imports its own

    config = RunConfig(
        model=options.folder,
        task="addition",
        device=options.device,
        dtype="bfloat16",
        prompts_per_step=NUM_PROMPTS,
        micro_batch_size=options.micro_batch_size,
        score_reference=False,
        plain_paths=("cuda_graphs",) if options.side == "plain" else (),
        max_steps=options.steps + WARM_UP,
    )
    knobs = Knobs(
        num_generations=NUM_GENERATIONS, max_completion_length=options.tokens, learning_rate=1e-6, loss_type="dapo"
    )
    found, measured = timed(Session(config, knobs))
    return found | {
        "peak": max(record.memory.get("peak", 0) for record in measured),
        "fast_paths": list(measured[-1].fast_paths),
    }


def run_trl(options: argparse.Namespace) -> dict[str, Any]:
    from datasets import Dataset  # noqa: PLC0415
    from peft import LoraConfig  # noqa: PLC0415
    from transformers import AutoModelForCausalLM, TrainerCallback  # noqa: PLC0415
    from trl import GRPOConfig, GRPOTrainer  # noqa: PLC0415

    from workbench.tasks.registry import get_task  # noqa: PLC0415

    marks: list[float] = []

    class Timer(TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            if options.device == "cuda":
                torch.cuda.synchronize()
            marks.append(time.perf_counter())

    task, num_steps = get_task("addition"), options.steps + WARM_UP
    num_rows = NUM_PROMPTS * NUM_GENERATIONS
    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(options.folder, dtype=torch.bfloat16),
        processing_class=AutoTokenizer.from_pretrained(options.folder),
        reward_funcs=list(task.reward_functions),
        args=GRPOConfig(
            output_dir=tempfile.mkdtemp(),
            use_cpu=options.device == "cpu",
            bf16=True,
            gradient_checkpointing=False,
            disable_dropout=True,
            max_steps=num_steps,
            report_to="none",
            disable_tqdm=True,
            save_strategy="no",
            per_device_train_batch_size=options.micro_batch_size,
            gradient_accumulation_steps=num_rows // options.micro_batch_size,
            num_generations=NUM_GENERATIONS,
            max_completion_length=options.tokens,
            beta=0.0,
            shuffle_dataset=False,
            learning_rate=1e-6,
            lr_scheduler_type="constant",
        ),
        train_dataset=Dataset.from_list(list(islice(task.examples(0), NUM_PROMPTS * num_steps))),
        peft_config=LoraConfig(
            task_type="CAUSAL_LM", r=8, lora_alpha=16, target_modules="all-linear", lora_dropout=0.0
        ),
        callbacks=[Timer()],
    )
    trainer.train()
    peak = torch.cuda.max_memory_allocated() if options.device == "cuda" else 0
    return {"times": between(marks), "peak": peak}


def report(found: dict[str, dict[str, Any]], options: argparse.Namespace) -> list[str]:
    """Return the table as lines of Markdown: seconds, and how many times its limit each took."""
    card = torch.cuda.get_device_name() if options.device == "cuda" else "a CPU"
    lines = [
        f"## A step on {card}: {options.layers} layers of {options.hidden}, bfloat16, "
        f"{NUM_PROMPTS} prompts × G = {NUM_GENERATIONS}, {options.tokens} new tokens, seconds",
        "",
        "| | decode | its limit | × | update | its limit | × | step | peak GB |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for side, one in found.items():
        if "failed" in one:
            lines.append(f"| {TITLES[side]} | did not run: {one['failed']} |")
            continue
        cells = [cell for stage in ("sample", "update") for cell in _against_limit(one, stage)]
        lines.append(f"| {TITLES[side]} | {' | '.join(cells)} | {spread(one['times'])} | {one['peak'] / 1e9:.1f} |")
    if "ours" in found and "fast_paths" in found["ours"]:
        lines += ["", f"In use: {', '.join(found['ours']['fast_paths'])}; {found['ours']['length']:.0f} tokens long."]
    return lines


def _against_limit(one: dict[str, Any], stage: str) -> tuple[str, str, str]:
    if stage not in one.get("timings", {}) or stage not in one.get("limits", {}):
        return "", "", ""
    seconds, limit = one["timings"][stage], one["limits"][stage]
    return f"{seconds:.3f}", f"{limit:.3f}", f"{seconds / limit:.1f}"


if __name__ == "__main__":
    main()
