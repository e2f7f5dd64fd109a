"""How long a start takes: from the command to a page that can be used, and to the first step without a page."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict

from playwright.sync_api import Browser

from benchmarks.browser import app, headless_browser

ROUNDS = 3
HEADLESS = """
import workbench.__main__ as command
from workbench.imports import import_engine
import_engine()
print(flush=True)
command.main(["train", "--preset", "addition", "--steps", "1", "--seed", "0", "--json"])
"""
Times = dict[str, list[float]]


def main() -> None:
    page: Times = defaultdict(list)
    headless: Times = defaultdict(list)
    with headless_browser() as browser:
        start_page(browser)  # the first start compiles our modules and reads the disk
        start_headless()
        for _ in range(ROUNDS):
            for name, seconds in start_page(browser).items():
                page[name].append(seconds)
            for name, seconds in start_headless().items():
                headless[name].append(seconds)
    show(f"From the command to the page: seconds, the middle of {ROUNDS} starts and the longest", page)
    show(f"From the command to the first step without a page: seconds, of {ROUNDS} starts", headless)


def start_page(browser: Browser) -> dict[str, float]:
    """Start the server, open the page in a browser that is already there, and press Train as soon as it can be."""
    begun = time.perf_counter()
    times = {}
    with app() as address:
        times["server answers"] = time.perf_counter() - begun
        page = browser.new_context().new_page()
        page.goto(address, wait_until="commit")
        page.wait_for_selector(".wb-left .row")
        times["page usable, recording drawn"] = time.perf_counter() - begun
        page.wait_for_selector("#wb-left .row")
        times["set-up form there too"] = time.perf_counter() - begun
        pressed = time.perf_counter()
        page.click("[data-do=train]")
        page.wait_for_selector(".badge[data-state=running]")
        page.wait_for_selector("#wb-left .row")
        times["Train pressed → first live group"] = time.perf_counter() - pressed
        page.context.close()
    return times


def start_headless() -> dict[str, float]:
    """Train one step in a fresh interpreter; what is neither import nor step is our own code, model and all."""
    begun = time.perf_counter()
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen([sys.executable, "-c", HEADLESS], stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    process.stdout.readline()
    imported = time.perf_counter() - begun
    step = json.loads(process.stdout.readline())["step_time"]
    first_record = time.perf_counter() - begun
    process.wait()
    own = first_record - imported - step
    return {"first step's record": first_record, "imports": imported, "own code": own, "the step": step}


def show(title: str, times: Times) -> None:
    print(f"## {title}\n")
    print("| " + " | ".join(times) + " |")
    print("|" + "--:|" * len(times))
    print("| " + " | ".join(f"{statistics.median(v):.2f} (max {max(v):.2f})" for v in times.values()) + " |\n")


if __name__ == "__main__":
    main()
