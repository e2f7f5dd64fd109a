"""What recording everything costs a step: one run whose steps are recorded in one way, in another, or not, in turn.

Two runs, one of which is recorded, differ by far more than that, from one minute of a machine to the next.
"""

import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path

from workbench.engine.trainer import train
from workbench.run.config import RunConfig
from workbench.run.knobs import KnobBoard, Knobs
from workbench.run.record import Finished
from workbench.run.recorder import RunFolder
from workbench.run.scribe import Scribe
from workbench.run.store import RunStore

WARM_UP = 20
TURNS = 20
STEPS_OF_A_TURN = 10
WAYS = {
    "not at all": None,
    "beside the next step, as the page's runs are": True,
    "before the next step, as a Session's are": False,
}


def main() -> None:
    print(f"## What recording costs: {TURNS} × {STEPS_OF_A_TURN} steps of one run each way, milliseconds\n")
    print("| a step's record is made, kept and written to the run folder | a step | more, in the middle of the turns |")
    print("|---|--:|--:|")
    turns = measure()
    least = [statistics.median(times) for times in turns["not at all"]]
    for way, each in turns.items():
        low, middle, high = (1e3 * part for part in statistics.quantiles(chain(*each), n=4))
        more = statistics.median(statistics.median(times) / base for times, base in zip(each, least, strict=True)) - 1
        print(f"| {way} | {middle:.0f} [{low:.0f}, {high:.0f}] | {100 * more:+.1f} % |", flush=True)
    print()


def measure() -> dict[str, list[list[float]]]:
    """Return the seconds of the steps of each turn, by the way in which they were recorded.

    The policy stays as it is, so that all steps are alike. The first of a turn is left out: it still has the last one's
    record beside it.
    """
    config, knobs = RunConfig(max_steps=10**6), Knobs(beta=0.04, learning_rate=0.0)
    folder = RunFolder.create(Path(tempfile.mkdtemp()) / "run", config, knobs)
    store = RunStore(config, knobs, title="", folder=folder)
    scribe = Scribe(partial(store.append, beside=True))
    engine = train(config, KnobBoard(knobs), adapter_folder=folder.adapter, records_beside=True)
    steps = (event for event in engine if isinstance(event, Finished))
    for _ in range(WARM_UP):
        next(steps)
    turns: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    for _ in range(TURNS):
        for way in random.sample(list(WAYS), len(WAYS)):
            turns[way].append(list(take_turn(steps, scribe, WAYS[way]))[1:])
    scribe.finish()
    scribe.close()
    engine.close()
    return turns


def take_turn(steps: Iterator[Finished], scribe: Scribe, beside: bool | None) -> Iterator[float]:
    """Yield the seconds from the end of each step to that of the next, its record included."""
    since = time.perf_counter()
    for _ in range(STEPS_OF_A_TURN + 1):
        step = next(steps)
        if beside is not None:
            scribe.take(step.record)
        if beside is False:
            scribe.finish()
        now = time.perf_counter()
        yield now - since
        since = now


if __name__ == "__main__":
    main()
