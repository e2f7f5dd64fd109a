"""A step's time against TRL's GRPOTrainer: fresh processes in turn, ours and TRL's, medians over all their steps.

Ours takes the threads that its self-test chooses; TRL runs with torch's own number and with one, and is held to its
faster. "One thread each" is there for a machine whose second core is busy.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

PLAIN, KL = ("--beta", "0", "--mu", "1"), ("--beta", "0.04", "--mu", "1")
COMPARISONS: Sequence[tuple[str, int, tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = (
    # title, rounds, the work of both, options of ours, options of TRL's
    ("β = 0, μ = 1", 3, PLAIN, (), ()),
    ("β = 0.04, μ = 1", 3, KL, (), ()),
    ("β = 0.04, μ = 4", 3, ("--beta", "0.04", "--mu", "4"), (), ()),
    ("β = 0, μ = 1, TRL as it comes", 1, PLAIN, (), ("--flags", "default")),
    ("β = 0, μ = 1, all 64 tokens long", 2, (*PLAIN, "--lengths", "equal"), (), ()),
    ("β = 0, μ = 1, one thread each", 2, PLAIN, ("--threads", "1"), ("--threads", "1")),
)


def main() -> None:
    print("## A step against TRL 1.16 (8 prompts × G = 8, at most 64 new tokens, seconds)\n")
    print("| | ours | ours, all recorded | TRL, its faster | TRL / ours | TRL / ours, all recorded |")
    print("|---|--:|--:|--:|--:|--:|")
    for title, rounds, work, of_ours, of_trl in COMPARISONS:
        ours, recorded, trl = compare(rounds, (*work, *of_ours), (*work, *of_trl))
        a, b, c = (statistics.median(times) for times in (ours, recorded, trl))
        print(
            f"| {title} | {spread(ours)} | {spread(recorded)} | {spread(trl)} | {c / a:.2f} | {c / b:.2f} |", flush=True
        )
    print("\n*All recorded*: the reference scored for display at β = 0 too, and every step written to a run folder.\n")
    print_stages()


def compare(rounds: int, ours: Sequence[str], trl: Sequence[str]) -> tuple[list[float], list[float], list[float]]:
    """Return the steps' times of ours, of ours with all recorded, and of TRL with the threads that suit it best."""
    plain, recorded, by_threads = [], [], {"0": [], "1": []}
    for _ in range(rounds):
        plain += run_side("ours", *ours)["times"]
        for threads, times in by_threads.items():
            times += run_side("trl", "--threads", threads, *trl)["times"]
        recorded += run_side("ours", *ours, "--record", "all")["times"]
    return plain, recorded, min(by_threads.values(), key=statistics.median)


def print_stages() -> None:
    """Print where a step of ours goes, beside the least time that the machine needs."""
    print("### Where the time goes: milliseconds by stage, and the arithmetic's least in brackets\n")
    print("| | sample | reward | score | update | record | step | × the limit |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for title, _, work, _, _ in COMPARISONS[:3]:
        found = run_side("ours", *work, "--record", "all")
        cells = [_stage(found, stage) for stage in ("sample", "reward", "score", "update", "record")]
        step, limit = (sum(found[name].values()) for name in ("timings", "limits"))
        print(f"| {title} | {' | '.join(cells)} | {1000 * step:.0f} | {step / limit:.1f} |")
    print()


def _stage(found: dict[str, Any], stage: str) -> str:
    limit = f" [{1000 * found['limits'][stage]:.0f}]" if stage in found["limits"] else ""
    return f"{1000 * found['timings'].get(stage, 0.0):.0f}{limit}"


def run_side(side: str, *options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.sides", side, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def spread(times: list[float]) -> str:
    """Return the median and, in brackets, the quartiles."""
    low, middle, high = statistics.quantiles(times, n=4)
    return f"{middle:.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    main()
