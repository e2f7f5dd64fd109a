"""Whether a training step costs the same after ten thousand others: real steps, as small as can be, all recorded."""

import argparse
import tempfile
import time
from itertools import pairwise

from benchmarks.browser import get, num_steps, post, running, written_at
from benchmarks.page_long import memory_mb
from benchmarks.trl import spread

SHORT, LONG = 600, 10_000
COMPARED = 500  # steps before each of them
CONFIG = {"max_steps": 100_000, "prompts_per_step": 1}
KNOBS = {"num_generations": 2, "max_completion_length": 8, "learning_rate": 0.0}


def main() -> None:
    print(f"## {LONG:,} steps of training: one prompt, two completions of at most 8 tokens, written to a run folder\n")
    print("| steps | seconds a step | server, MB |")
    print("|---|--:|--:|")
    train("the run", SHORT, LONG)
    train("a new run, right after", SHORT)
    print()


def train(title: str, *until: int) -> None:
    """Train in a new server; at each of these steps, print how long the last ones took, and the server's memory."""
    command = ("app.py", "--no-browser", "--port", "0", "--runs-folder", tempfile.mkdtemp())
    with running(*command) as (address, pid):
        post(address, "start", {"config": CONFIG, "knobs": KNOBS})
        for at in until:
            while get(address)["source"] != "live" or num_steps(address) < at + 1:
                time.sleep(2)
            ends = written_at(get(address)["folder"], at - COMPARED, at)
            times = [after - before for before, after in pairwise(ends)]
            print(f"| {title}, {at - COMPARED:,} to {at:,} | {spread(times)} | {memory_mb(pid):.0f} |", flush=True)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
