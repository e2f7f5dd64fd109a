"""What the page costs and how quickly it shows what is new: the real server, the real page in headless Chromium."""

import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise

import psutil
from playwright.sync_api import Browser

from benchmarks.browser import app, get, headless_browser, num_steps, post, served, tabs, wait_for_steps, written_at

TURNS = 4
STEPS_OF_A_TURN = 50  # longer than any page rests between two drawings
CAUGHT_UP_S = 12  # after which a page that stood still has drawn what it missed, and rested for it
SETTLED_S = 120  # after which a browser has collected the garbage of its pages' loading
NEWS_STEPS = 24
NUM_WATCHERS = 8
ASKING = """
import json, sys, threading
from urllib.request import urlopen
def ask():
    run, rows, events, news = "", 0, 0, -1
    while True:
        query = f"run={run}&since={rows}&events={events}&news={news}&group=-1"
        with urlopen(f"{sys.argv[1]}/wb/delta?{query}") as answer:
            body = answer.read()
        if body:
            delta = json.loads(body)
            run, rows, events, news = (delta[name] for name in ("run", "next", "next_event", "news"))
for _ in range(int(sys.argv[2])):
    threading.Thread(target=ask).start()
"""
WATCH = """async () => {
  const { state, watch } = await import('/wb/static/store.js');
  window.shown = [];
  // A task queued in a frame runs when the frame is painted.
  watch(['record'], () => setTimeout(() => window.shown.push([state.record?.step, Date.now()])));
}"""


def main() -> None:
    with headless_browser() as browser:
        measure_watching(browser)
        measure_news(browser)


def measure_watching(browser: Browser) -> None:
    """Compare a run's steps while somebody looks on with those while all who look on are stopped, some of each in turn.

    Steps differ by their texts and by what else the machine does; the processor's time hardly does, so it is there too.
    """
    print(
        f"## What watching costs: {TURNS} × {STEPS_OF_A_TURN} steps of one run with those who look on stopped, "
        "and as many not\n"
    )
    print("| who looks on | s a step, stopped | looking on | | their processor time, of one core |")
    print("|---|--:|--:|--:|--:|")
    with app() as address:
        post(address, "start", {"config": {"max_steps": 100_000}, "knobs": {"learning_rate": 0.0, "num_iterations": 1}})
        wait_for_steps(address, 5)
        for name, watching in watchers(browser, address).items():
            with watching:
                alone, watched, share = in_turn(address)
            cost = f"{100 * (watched / alone - 1):+.1f} %"
            print(f"| {name} | {alone:.3f} | {watched:.3f} | {cost} | {100 * share:.1f} % |", flush=True)
    print()


def watchers(browser: Browser, address: str) -> Mapping[str, AbstractContextManager]:
    return {
        "a browser without a page": nullcontext(),
        "1 page": settled_tabs(browser, address, 1, in_front=1),
        f"{NUM_WATCHERS} tabs, one in front": settled_tabs(browser, address, NUM_WATCHERS, in_front=1),
        f"{NUM_WATCHERS} windows side by side": settled_tabs(browser, address, NUM_WATCHERS, in_front=NUM_WATCHERS),
        f"{NUM_WATCHERS} clients that ask for every step": beside(ASKING, address, str(NUM_WATCHERS)),
        "a busy loop instead": beside("while True: pass"),
    }


@contextmanager
def settled_tabs(browser: Browser, address: str, count: int, *, in_front: int) -> Iterator[None]:
    with tabs(browser, address, count, in_front=in_front):
        time.sleep(SETTLED_S)
        yield


def in_turn(address: str) -> tuple[float, float, float]:
    """Return the middle step with the onlookers stopped and not stopped, in seconds, and their share of one core."""
    alone, watched, shares = [], [], []
    for _ in range(TURNS):
        signal_onlookers(signal.SIGSTOP)
        alone += next_step_times(address)
        signal_onlookers(signal.SIGCONT)
        time.sleep(CAUGHT_UP_S)
        begun, used = time.perf_counter(), seconds_of_onlookers()
        watched += next_step_times(address)
        shares.append((seconds_of_onlookers() - used) / (time.perf_counter() - begun))
    return statistics.median(alone), statistics.median(watched), statistics.mean(shares)


def signal_onlookers(number: signal.Signals) -> None:
    for process in onlookers():
        process.send_signal(number)


def seconds_of_onlookers() -> float:
    """Return how long they have computed."""
    times = [process.cpu_times() for process in onlookers()]
    return sum(time.user + time.system for time in times)


def onlookers() -> list[psutil.Process]:
    """Return what this program has started, all but the server."""
    return [process for process in psutil.Process().children(recursive=True) if "app.py" not in process.cmdline()]


def measure_news(browser: Browser) -> None:
    """Measure from the moment a step is written down to the end of the frame that shows it, at several paces."""
    print("## From news to pixels: milliseconds from a finished step to the end of the frame that shows it\n")
    print("| seconds a step | steps shown | median | max |")
    print("|--:|--:|--:|--:|")
    for step_s in (2.0, 1.0, 0.5):
        command = ("-m", "benchmarks.replayed", tempfile.mkdtemp(), "--step", str(step_s))
        with served(*command) as address, tabs(browser, address, 1, in_front=1) as (page,):
            page.evaluate(WATCH)
            first = num_steps(address) + 1
            while num_steps(address) < first + NEWS_STEPS:
                page.wait_for_timeout(500)
            shown = {
                step: at for step, at in page.evaluate("window.shown") if step and first <= step < first + NEWS_STEPS
            }
            folder = get(address)["folder"]
        late = [at - 1e3 * written_at(folder, step, step)[0] for step, at in shown.items()]
        print(
            f"| {step_s} | {len(late)} of {NEWS_STEPS} | {statistics.median(late):.0f} | {max(late):.0f} |", flush=True
        )
    print()


@contextmanager
def beside(program: str, *arguments: str) -> Iterator[None]:
    """Run a Python program in a process of its own meanwhile."""
    process = subprocess.Popen([sys.executable, "-c", program, *arguments])
    time.sleep(1)
    yield
    process.kill()
    process.wait()


def next_step_times(address: str) -> list[float]:
    """Wait for the next steps and return their times, from the end of one to that of the next, everything included."""
    first = num_steps(address) + 2
    last = first + STEPS_OF_A_TURN
    while num_steps(address) < last:
        time.sleep(0.5)
    ends = written_at(get(address)["folder"], first, last)
    return [after - before for before, after in pairwise(ends)]


if __name__ == "__main__":
    main()
