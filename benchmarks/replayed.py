"""The real server on an engine that repeats recorded steps: `python -m benchmarks.replayed FOLDER --first 10000`.

So the page and the server are measured at any step of a run and at any pace, without the noise of training beside them.
Nothing is faked but the engine: records go through the real runner, store and run folder.
"""

import argparse
import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from workbench.run.knobs import KnobBoard
from workbench.run.record import Progress, StepRecord
from workbench.run.tapes import open_tape
from workbench.run.workbench import Workbench
from workbench.web.server import create_app, serve

MOST_STEPS = 1_000_000


def repeated_steps(board: KnobBoard, step_s: float, num_first: int) -> Iterator[Progress | StepRecord]:
    """Yield `num_first` recorded steps at once, then one every `step_s` seconds, each with the knobs of its time."""
    tape = open_tape()
    records = [tape.record(row["step"]) for row in tape.rows()]
    yield Progress(0, "load")
    for step, record in enumerate(itertools.cycle(records), 1):
        knobs = board.take()
        if step > num_first:
            yield Progress(step, "sample", 1, 2)
            time.sleep(step_s)
        metrics = {**record.metrics, "step_time": step_s}
        yield replace(record, step=step, knobs=knobs, metrics=metrics)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the run is recorded")
    parser.add_argument("--step", type=float, default=0.5, help="seconds a step takes")
    parser.add_argument("--first", type=int, default=0, help="steps that are made at once")
    options = parser.parse_args()
    bench = Workbench(
        open_tape(),
        lambda config, board, _: repeated_steps(board, options.step, options.first),
        runs_folder=options.folder,
        preset="addition",
    )
    bench.start(config={"max_steps": MOST_STEPS})
    serve(create_app(bench, "benchmark"), "127.0.0.1", 0, lambda address: print(address, flush=True))


if __name__ == "__main__":
    main()
