"""Make the bundled recording: `python -m workbench.models.make_tape`.

Forty steps of column addition on the tiny model, with two knobs turned on the way. Log-probabilities are rounded to a
2048th of a nat, which no picture shows and which makes the recording several times smaller; the rest is as recorded.
"""

import argparse
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson

from workbench.run.completion import GroupRecord
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs
from workbench.run.presets import preset_settings
from workbench.run.record import StepRecord
from workbench.run.recording import step_path, write_step
from workbench.run.session import Session
from workbench.run.tapes import TAPES

STEPS = 40
LEARNING_RATE = 5e-4  # quicker than the preset's, so that there are clipped tokens to see
TURNS = {15: {"beta": 0.1}, 28: {"epsilon": 0.1}}
GRID = 2048  # per nat
_ROUNDED = ("sampled_logps", "entropy", "old_logps", "ref_logps", "logps_by_update", "top_logps")


def make_tape(folder: Path, preset: str = "addition", steps: int = STEPS) -> None:
    """Train, turn the knobs, and leave the recording in `folder`."""
    settings, knobs = preset_settings(preset)
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "run"
        session = Session(
            RunConfig.from_mapping(settings | {"max_steps": steps}),
            Knobs().changed(knobs | {"learning_rate": LEARNING_RATE}),
            out=run,
        )
        for record in session.run(steps):
            print(f"step {record.step:>3}  reward {record.metrics['reward']:.3f}", flush=True)
            session.set(**TURNS.get(record.step + 1, {}))
            write_step(step_path(run, record.step), rounded(record))
        (run / "focus.json").write_bytes(orjson.dumps(find_focus(session.records)))
        shutil.rmtree(run / "adapter")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(run, folder)


def rounded(record: StepRecord) -> StepRecord:
    """Return the record with its log-probabilities and entropies on the grid."""
    columns = {name: values for name, values in record.groups.columns.items() if name in _ROUNDED}
    on_grid = {name: (np.round(values * GRID) / GRID).astype(np.float32) for name, values in columns.items()}
    return replace(record, groups=record.groups.with_columns(on_grid))


def find_focus(records: list[StepRecord]) -> dict[str, int]:
    """Return the step, group and completion with the most to see: right and wrong answers, tokens in every corner."""
    places = [
        (_richness(group), record.step, g)
        for record in records[len(records) // 3 :]
        for g, group in enumerate(record.groups)
    ]
    _, step, g = max(places)
    group = next(record for record in records if record.step == step).groups[g]
    marked = [int(c.clipped.sum()) + int(c.outside_band.sum()) for c in group.completions]
    return {"step": step, "group": g, "completion": int(np.argmax(marked))}


def _richness(group: GroupRecord) -> float:
    num_right = sum(bool(c.is_correct) for c in group.completions)
    balance = min(num_right, len(group.completions) - num_right)
    num_clipped = sum(int(c.clipped.sum()) for c in group.completions)
    num_learning = sum(int((c.outside_band & ~c.clipped).sum()) for c in group.completions)
    has_cut_off = any(c.is_truncated for c in group.completions)
    num_garbled = sum(not (c.answer or "").isdigit() for c in group.completions)
    return min(balance, 3) * 4 + min(num_clipped, 8) + 2 * min(num_learning, 4) + 2 * has_cut_off - 4 * num_garbled


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make the bundled recording.")
    parser.add_argument("--out", type=Path, default=TAPES / "addition")
    make_tape(parser.parse_args().out)
