"""A step's time against TRL's GRPOTrainer: fresh processes in turn, ours and TRL's, medians over all their steps."""

import json
import statistics
import subprocess
import sys

ROUNDS = 2
COMPARISONS = (
    ("β = 0, μ = 1", ("--beta", "0", "--mu", "1"), "equal"),
    ("β = 0.04, μ = 1", ("--beta", "0.04", "--mu", "1"), "equal"),
    ("β = 0.04, μ = 4", ("--beta", "0.04", "--mu", "4"), "equal"),
    ("β = 0, μ = 1, TRL as it comes", ("--beta", "0", "--mu", "1"), "default"),
)


def main() -> None:
    print("## A step against TRL 1.16 (8 prompts × G = 8, at most 64 new tokens, one thread each, seconds)\n")
    print("| | ours | ours, all recorded | TRL | TRL / ours | TRL / ours, all recorded |")
    print("|---|--:|--:|--:|--:|--:|")
    for title, work, flags in COMPARISONS:
        ours, recorded, trl = [], [], []
        for _ in range(ROUNDS):
            ours += step_times("ours", *work)
            trl += step_times("trl", *work, "--flags", flags)
            recorded += step_times("ours", *work, "--record", "all")
        a, b, c = statistics.median(ours), statistics.median(recorded), statistics.median(trl)
        print(
            f"| {title} | {spread(ours)} | {spread(recorded)} | {spread(trl)} | {c / a:.2f} | {c / b:.2f} |", flush=True
        )
    print("\n*All recorded*: the reference scored for display at β = 0 too, and every step written to a run folder.\n")


def step_times(side: str, *options: str) -> list[float]:
    command = [sys.executable, "-m", "benchmarks.sides", side, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])["times"]


def spread(times: list[float]) -> str:
    """Return the median and, in brackets, the quartiles."""
    low, middle, high = statistics.quantiles(times, n=4)
    return f"{middle:.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    main()
