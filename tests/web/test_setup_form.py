"""The set-up form in a real browser, on a server whose answers about language are slow."""

import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from playwright.sync_api import expect, sync_playwright

from tests.web.test_page import FLAGS, PATIENCE_MS
from workbench.run.workbench import Workbench
from workbench.web import setup_form
from workbench.web.server import create_app


@pytest.fixture
def slow_address(workbench: Workbench, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that takes 2 s longer to label the form."""
    words = setup_form.section_words

    def slow_words(name: str, lang: str) -> str:
        if name == "start":
            time.sleep(2)
        return words(name, lang)

    server = uvicorn.Server(uvicorn.Config(create_app(workbench, "0.1.0"), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    monkeypatch.setattr(setup_form, "section_words", slow_words)
    yield f"http://localhost:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def test_a_choice_made_before_the_form_was_labelled_stands(browser_path: str, slow_address: str) -> None:
    with sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=browser_path, args=FLAGS).new_page()
        page.goto(f"{slow_address}/?lang=zh&view=setup")
        start = page.locator("#wb-section-start")
        expect(start).to_contain_text("Start from", timeout=PATIENCE_MS)
        page.locator("#wb-set-preset-group").get_by_text("Mistakes").click()
        expect(start).to_contain_text("起点", timeout=PATIENCE_MS)
        expect(page.locator("#wb-set-bug input")).not_to_have_value("无", timeout=PATIENCE_MS)
        expect(page.locator("#wb-set-preset input")).not_to_have_value("")
        expect(page.locator("#wb-section-bug")).to_contain_text("症状")
