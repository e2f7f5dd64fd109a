"""Whether a run costs the same at step 10,000 as at step 10: the real server, store and page, steps repeated."""

import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from itertools import pairwise

import psutil
from playwright.sync_api import Browser

from benchmarks.browser import ROOT, get, headless_browser, num_steps, running, served, tabs, written_at

LONG = 10_000
LAST = 200  # steps whose times are compared
DRAWN = 12
COSTS = """async () => {
  const { drawing, watch } = await import('/wb/static/store.js');
  window.costs = [];
  watch(['record'], () => setTimeout(() => window.costs.push(drawing.cost), 100));
}"""
OPEN = """
import sys, time
from pathlib import Path
from workbench.run.recorder import RunFolder
from workbench.run.store import RunStore
from workbench.run.workbench import Workbench
from workbench.web.replies import Question, Replies
import asyncio
begun = time.perf_counter()
store = RunStore.open(RunFolder(Path(sys.argv[1])), title="run", source="replay")
opened = time.perf_counter()
replies = Replies(Workbench(store, None, runs_folder=None, preset="addition"))
delta = asyncio.run(replies.delta(Question(None, 0, 0, -1, False, False, None)))
print(store.num_rows, opened - begun, time.perf_counter() - opened, len(delta))
"""


@dataclass(frozen=True)
class Place:
    """What a run costs where it stands: milliseconds a step is kept and told in, megabytes, and a page's part."""

    steps: int
    step_ms: float
    server_mb: float
    first_kb: float
    news_kb: float
    draw_ms: float
    page_mb: float


def main() -> None:
    print("## The same at step 10,000 as at step 10\n")
    with headless_browser() as browser:
        short, _ = measure_at(browser, 10)
        long, folder = measure_at(browser, LONG)
        print(
            "| at step | keeping a step, ms | server, MB | first answer, kB | later, kB | page update, ms | page, MB |"
        )
        print("|--:|--:|--:|--:|--:|--:|--:|")
        for at in (short, long):
            print(
                f"| {at.steps} | {at.step_ms:.1f} | {at.server_mb:.0f} | {at.first_kb:.0f} | {at.news_kb:.1f} |"
                f" {at.draw_ms:.0f} | {at.page_mb:.1f} |"
            )
        measure_opening(browser, folder)


def measure_at(browser: Browser, num_first: int) -> tuple[Place, str]:
    """Let a run come to a step as fast as it can, then watch it from there at two steps a second."""
    command = ("-m", "benchmarks.replayed", tempfile.mkdtemp(), "--step", "0.5", "--first", str(num_first))
    with running(*command) as (address, pid):
        while num_steps(address) < num_first:
            time.sleep(1)
        start = get(address)
        folder = start["folder"]
        ends = written_at(folder, max(1, num_first - LAST), num_first)
        with tabs(browser, address, 1, in_front=1) as (page,):
            page.evaluate(COSTS)
            while len(costs := page.evaluate("window.costs")) < DRAWN:
                page.wait_for_timeout(500)
            heap = page.evaluate("performance.memory.usedJSHeapSize")
        first, later = sizes(address)
        made = Place(
            num_steps(address),
            1e3 * statistics.median(after - before for before, after in pairwise(ends)),
            memory_mb(pid),
            first / 1e3,
            later / 1e3,
            statistics.median(costs),
            heap / 1e6,
        )
    return made, folder


def sizes(address: str) -> tuple[int, int]:
    """Return the bytes of a page's first answer and of one with a new step."""
    with urllib.request.urlopen(f"{address}/wb/delta?news=-1&group=-1") as answer:
        first = answer.read()
    known = get(address)
    query = f"run={known['run']}&since={num_steps(address)}&events={known['next_event']}"
    with urllib.request.urlopen(f"{address}/wb/delta?news=-1&group=-1&{query}") as answer:
        answer.read()
    time.sleep(1)
    with urllib.request.urlopen(f"{address}/wb/delta?news=-1&group=-1&{query}") as answer:
        return len(first), len(answer.read())


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    return psutil.Process(pid).memory_info().rss / 1e6


def measure_opening(browser: Browser, folder: str) -> None:
    """Open the folder of the long run: store and first answer alone, then a page of a server that begins to answer."""
    answer = subprocess.run([sys.executable, "-c", OPEN, folder], capture_output=True, text=True, check=True, cwd=ROOT)
    steps, opened, answered, size = answer.stdout.split()
    with served("app.py", "--no-browser", "--port", "0", "--run", folder) as address:
        begun = time.perf_counter()
        page = browser.new_page()
        page.goto(address, wait_until="commit")
        page.wait_for_selector(".wb-left .row")
        usable = time.perf_counter() - begun
        page.close()
    print(f"\nOpening {steps} steps: the store in {float(opened):.2f} s, the first answer of {int(size) // 1000} kB in")
    print(f"{1e3 * float(answered):.0f} ms; a page of a server that has just begun to answer can be used after")
    print(f"{usable:.2f} s.\n")


if __name__ == "__main__":
    main()
