"""What the page costs and how fast it is there: the real server, the real page in headless Chromium, in one run."""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ASKING = """
import json, sys, time
from urllib.request import urlopen
address, run, rows, events = sys.argv[1], "", 0, 0
while True:
    delta = json.load(urlopen(f"{address}/wb/delta?run={run}&since={rows}&events={events}"))
    run, rows, events = delta["run"], delta["next"], delta["next_event"]
    if delta["rows"]:
        urlopen(f"{address}/wb/group/{run}/{delta['rows'][-1]['step']}").read()
    time.sleep(0.3)
"""
STEPS = 15
ROUNDS = 3


def main() -> None:
    with sync_playwright() as playwright:
        path = next(found for found in map(shutil.which, BROWSERS) if found)
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        measure_start(browser)
        measure_watching(browser)
        browser.close()


def measure_start(browser: Browser) -> None:
    print("## From the command to the page, and from the button to the first live group (seconds)\n")
    answered, usable, live = [], [], []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        with server() as address:
            answered.append(time.perf_counter() - begun)
            page = browser.new_page()
            page.goto(address)
            page.wait_for_selector("#wb-left .row")
            usable.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            page.click("[data-do=train]")
            page.wait_for_selector(".badge[data-state=running]")
            page.wait_for_selector("#wb-left .row")
            live.append(time.perf_counter() - begun)
            page.close()
    print("| server answers | page usable, recording drawn | train pressed → first live group |")
    print("|--:|--:|--:|")
    print(
        "| "
        + " | ".join(f"{statistics.median(times):.1f} (max {max(times):.1f})" for times in (answered, usable, live))
        + " |\n"
    )


def measure_watching(browser: Browser) -> None:
    """Compare one run's steps alone, asked about as a page asks, watched by a page, and beside a busy core."""
    print("## What watching costs: seconds a step of one run, in turn\n")
    times: dict[str, list[float]] = {"alone": [], "asked": [], "watched": [], "busy": []}
    with server() as address:
        post(address, "start", {"config": {"max_steps": 10_000}, "knobs": {"learning_rate": 0.0, "num_iterations": 1}})
        wait_for_steps(address, 5)
        for _ in range(ROUNDS):
            times["alone"] += next_step_times(address)
            with beside(ASKING, address):
                times["asked"] += next_step_times(address)
            with open_page(browser, address):
                times["watched"] += next_step_times(address)
            with beside("while True: pass"):
                times["busy"] += next_step_times(address)
    middle = {name: statistics.median(values) for name, values in times.items()}
    cost = {name: f"{value:.3f} ({100 * (value / middle['alone'] - 1):+.1f} %)" for name, value in middle.items()}
    print("| nobody | a client that asks as a page does | a page in a browser on this machine | a busy loop instead |")
    print("|--:|--:|--:|--:|")
    print(f"| {middle['alone']:.3f} | {cost['asked']} | {cost['watched']} | {cost['busy']} |\n")


@contextmanager
def beside(program: str, *arguments: str) -> Iterator[None]:
    """Run a Python program in a process of its own meanwhile."""
    process = subprocess.Popen([sys.executable, "-c", program, *arguments])
    time.sleep(1)
    yield
    process.kill()
    process.wait()


@contextmanager
def server() -> Iterator[str]:
    command = [sys.executable, "app.py", "--no-browser", "--port", "0", "--runs-folder", tempfile.mkdtemp()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def open_page(browser: Browser, address: str) -> Iterator[Page]:
    page = browser.new_page()
    page.goto(address)
    page.wait_for_selector("#wb-left .row")
    time.sleep(2)  # the page's own loading is not what is measured
    yield page
    page.close()
    time.sleep(1)


def next_step_times(address: str) -> list[float]:
    """Wait for the next steps and return their times."""
    done = get(address)["next"]
    wait_for_steps(address, done + STEPS + 1)
    rows = get(address)["rows"]
    return [row["metrics"]["step_time"] for row in rows[done + 1 : done + 1 + STEPS]]


def wait_for_steps(address: str, count: int) -> None:
    while get(address)["next"] < count or get(address)["source"] != "live":
        time.sleep(0.1)


def get(address: str) -> dict:
    with urllib.request.urlopen(f"{address}/wb/delta") as answer:
        return json.loads(answer.read())


def post(address: str, action: str, arguments: dict) -> None:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/wb/do/{action}", json.dumps(arguments).encode(), headers)
    urllib.request.urlopen(request).close()


if __name__ == "__main__":
    main()
