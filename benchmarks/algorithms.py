"""Every preset that trains on addition, after the same number of generated tokens: `python -m benchmarks.algorithms`.

As many runs at once as there are cores. Tokens are those of completions: written by the policy (for SFT
by a demonstrator), thrown-away groups included. "Right" is the share of right sums among eight
completions of each of 64 prompts, the same for all runs, drawn with another seed than the runs' own.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

from workbench import Knobs, RunConfig, Session
from workbench.engine.evaluate import evaluate
from workbench.run.presets import PRESETS, preset_settings

SAMPLING = Knobs(num_generations=8, max_completion_length=48)
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=30_000, help="completion tokens in each run")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--presets", nargs="*", default=list(compared()))
    parser.add_argument(
        "--rows", type=Path, default=Path("runs/algorithms.jsonl"), help="runs made already; goes on there"
    )
    options = parser.parse_args()
    rows = read_rows(options.rows, options.tokens)
    made = {(row["preset"], row["seed"]) for row in rows}
    runs = [(preset, seed) for seed in range(options.seeds) for preset in options.presets]
    options.rows.parent.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool, options.rows.open("a") as file:
        waiting = [pool.submit(measure, *run, options.tokens) for run in runs if run not in made]
        for done in as_completed(waiting):
            rows.append(done.result())
            print(json.dumps(rows[-1]), file=file, flush=True)
    start = evaluate(RunConfig(task="addition"), SAMPLING, None)
    print(f"{options.tokens} completion tokens a run, {options.seeds} seeds: mean [lowest, highest]. Before training:")
    print(f"{start.right:.0%} right, {start.length:.1f} tokens long.\n")
    for line in table(options.presets, rows):
        print(line)


def read_rows(path: Path, num_tokens: int) -> list[Row]:
    """Return the runs of that many tokens that the file holds."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [row for row in map(json.loads, lines) if row["tokens"] == num_tokens]


def compared() -> Iterator[str]:
    """Yield the presets to compare: those of the addition task that are not broken on purpose."""
    for name, preset in PRESETS.items():
        if preset.settings.get("task", "addition") == "addition" and preset.group != "mistakes":
            yield name


def measure(preset: str, seed: int, num_tokens: int) -> Row:
    """Train a preset until its completions add up to `num_tokens`, and return what it came to."""
    settings, knobs = preset_settings(preset)
    config = RunConfig.from_mapping(settings | {"seed": seed, "max_steps": 100_000})
    with TemporaryDirectory() as folder:
        session = Session(config, Knobs().changed(knobs), out=Path(folder) / "run")
        metrics = []
        for record in session.run():
            metrics.append(record.metrics)
            if (record.metrics["num_completion_tokens"] or 0) >= num_tokens:
                break
        found = evaluate(config, SAMPLING, Path(folder) / "run" / "adapter")
    return {
        "preset": preset,
        "seed": seed,
        "tokens": num_tokens,
        "steps": len(metrics),
        "right": found.right,
        "length": found.length,
        "kl": metrics[-1].get("kl"),
        "entropy": metrics[-1].get("entropy"),
        "memory": sum(record.memory.values()),
    }


def table(presets: Sequence[str], rows: Sequence[Row]) -> Iterator[str]:
    yield "| preset | what it is | right | KL | entropy | length | steps | MB |"
    yield "|---|---|--:|--:|--:|--:|--:|--:|"
    for preset in presets:
        own = [row for row in rows if row["preset"] == preset]
        cells = [
            _range([row["right"] for row in own], "{:.0%}"),
            _range([row["kl"] for row in own], "{:.3f}"),
            _range([row["entropy"] for row in own], "{:.3f}"),
            _range([row["length"] for row in own], "{:.1f}"),
            f"{fmean(row['steps'] for row in own):.0f}",
            f"{fmean(row['memory'] for row in own) / 1e6:.1f}",
        ]
        yield f"| `{preset}` | {PRESETS[preset].title[0]} | {' | '.join(cells)} |"


def _range(values: Sequence[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    mean, low, high = (form.format(value) for value in (fmean(known), min(known), max(known)))
    return f"{mean} [{low}, {high}]"


if __name__ == "__main__":
    main()
