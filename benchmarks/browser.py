"""A server and pages of it in headless Chromium, for whatever is measured about the page."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HIDDEN = "Object.defineProperties(document, {hidden: {value: true}, visibilityState: {value: 'hidden'}});"
ROOT = Path(__file__).parents[1]


@contextmanager
def headless_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        path = next(found for found in map(shutil.which, BROWSERS) if found)
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def served(*command: str) -> Iterator[str]:
    """Run a server that prints its address, and stop it."""
    with running(*command) as (address, _):
        yield address


@contextmanager
def running(*command: str) -> Iterator[tuple[str, int]]:
    """The same, with the process's number."""
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1], process.pid
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def app(folder: str | None = None) -> Iterator[str]:
    runs = folder or tempfile.mkdtemp()
    with served("app.py", "--no-browser", "--port", "0", "--runs-folder", runs) as address:
        yield address


@contextmanager
def tabs(browser: Browser, address: str, count: int, *, in_front: int) -> Iterator[list[Page]]:
    """Open pages, of which the first `in_front` can be seen and the others are hidden as a browser hides tabs."""
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    pages = []
    for number in range(count):
        page = context.new_page()
        page.goto(f"{address}/?lang=en&theme=light")
        page.wait_for_selector("#wb-left .row")
        if number >= in_front:
            page.evaluate(HIDDEN + "document.dispatchEvent(new Event('visibilitychange'))")
        pages.append(page)
    time.sleep(2)  # the pages' own loading is not what is measured
    yield pages
    context.close()
    time.sleep(1)


def get(address: str) -> dict:
    with urllib.request.urlopen(f"{address}/wb/delta") as answer:
        return json.loads(answer.read())


def post(address: str, action: str, arguments: dict) -> None:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/wb/do/{action}", json.dumps(arguments).encode(), headers)
    urllib.request.urlopen(request).close()


def wait_for_steps(address: str, count: int) -> None:
    while num_steps(address) < count or get(address)["source"] != "live":
        time.sleep(0.1)


def num_steps(address: str) -> int:
    """Return how many steps the run on show has."""
    with urllib.request.urlopen(f"{address}/wb/delta?news=-1") as answer:
        return json.loads(answer.read())["next"]


def written_at(folder: str, first: int, last: int) -> list[float]:
    """Return when each of these steps was written to the run folder, in seconds: its record is whole a moment later."""
    return [(Path(folder) / "steps" / f"{step:06d}.npz").stat().st_mtime_ns / 1e9 for step in range(first, last + 1)]
