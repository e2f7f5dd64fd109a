"""Whether a training step costs the same after ten thousand others: real steps, as small as can be, all recorded."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise

from benchmarks.browser import get, num_steps, post, running, written_at
from benchmarks.page_long import memory_mb
from benchmarks.trl import spread

SHORT, LONG = 600, 10_000
COMPARED = 500  # steps before each of them
CONFIG = {"max_steps": 100_000, "prompts_per_step": 1}
KNOBS = {"num_generations": 2, "max_completion_length": 8, "learning_rate": 0.0}
Times = list[float]


def main() -> None:
    print(f"## {LONG:,} steps of training: one prompt, two completions of at most 8 tokens, written to a run folder\n")
    print("| steps | seconds a step | server, MB |")
    print("|---|--:|--:|")
    for title, (at, times, megabytes) in zip(
        ("", "", " of a new run, right after"), (*train([SHORT, LONG]), *train([SHORT])), strict=True
    ):
        print(f"| {at - COMPARED:,} to {at:,}{title} | {spread(times)} | {megabytes:.0f} |", flush=True)
    print()


def train(until: Sequence[int]) -> Iterator[tuple[int, Times, float]]:
    """Train in a new server; at each of these steps, tell the last steps' times in seconds, and its memory."""
    command = ("app.py", "--no-browser", "--port", "0", "--runs-folder", tempfile.mkdtemp())
    with running(*command) as (address, pid):
        post(address, "start", {"config": CONFIG, "knobs": KNOBS})
        for at in until:
            while get(address)["source"] != "live" or num_steps(address) < at + 1:
                time.sleep(2)
            ends = written_at(get(address)["folder"], at - COMPARED, at)
            yield at, [after - before for before, after in pairwise(ends)], memory_mb(pid)


if __name__ == "__main__":
    main()
