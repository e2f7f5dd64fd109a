"""The README's pictures, taken of the page itself: `python -m docs.screenshots` needs Chromium and playwright."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).parent
VIEWS = {
    "live_light_en": "theme=light&lang=en",
    "pinned_dark_zh": "theme=dark&lang=zh&pin=7",
}


def main() -> None:
    command = [sys.executable, "app.py", "--no-browser", "--port", "0", "--runs-folder", tempfile.mkdtemp()]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        take_pictures(server.stdout.readline().split()[-1])
    finally:
        server.terminate()


def take_pictures(address: str) -> None:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for name, query in VIEWS.items():
            page = browser.new_page(viewport={"width": 1366, "height": 768})
            page.goto(f"{address}/?{query}")
            page.wait_for_selector("#wb-left .row")
            page.wait_for_timeout(1000)
            page.screenshot(path=FOLDER / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
