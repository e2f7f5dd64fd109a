"""The page's head: everything that the first screen needs is asked for at once, and nothing else."""

import asyncio
import re
import threading
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from playwright.sync_api import expect, sync_playwright
from starlette.testclient import TestClient

from tests.web.test_page import FLAGS
from workbench.web import server
from workbench.web.head import first_half, page_halves
from workbench.web.later import Later
from workbench.web.routes import STATIC

IMPORT = re.compile(r"""^(?:import|export)\b(?:[^;']*?\bfrom)? '(\.[^']+)'|\bimport\('(\.[^']+)'\)""", re.MULTILINE)


def reached_from(script: Path) -> set[Path]:
    """Return the module and all that it imports, directly or through others."""
    found: set[Path] = set()
    waiting = [script.resolve()]
    while waiting:
        at = waiting.pop()
        if at not in found:
            found.add(at)
            waiting += [(at.parent / (a or b)).resolve() for a, b in IMPORT.findall(at.read_text())]
    return found


def test_the_preloaded_modules_are_those_that_the_page_imports():
    preloaded = re.findall(r'rel="modulepreload" href="/wb/static/([^"]+)"', first_half(STATIC))
    assert sorted(preloaded) == sorted(path.relative_to(STATIC).as_posix() for path in reached_from(STATIC / "main.js"))


def test_the_page_begins_with_our_half_and_goes_on_with_gradios(client: TestClient):
    html = client.get("/").text
    assert html.startswith(first_half(STATIC)) and html.rstrip().endswith("</html>")
    rest = html.removeprefix(first_half(STATIC))
    assert "/assets/" in rest and "gradio_config" in rest and "<gradio-app" in rest
    assert html.count("<head>") == 1


def test_only_the_page_begins_so(client: TestClient):
    assert first_half(STATIC) not in client.get("/theme.css").text
    assert client.head("/").content == b""
    refused = client.get("/", headers={"host": "elsewhere.example"})
    assert refused.status_code == 403
    assert first_half(STATIC) not in refused.text


def test_our_half_is_sent_while_gradio_is_still_being_made():
    is_made = threading.Event()

    def make() -> FastAPI:
        assert is_made.wait(20)
        app = FastAPI()
        app.get("/")(lambda: HTMLResponse("<html><head>GRADIO</head></html>"))
        return app

    async def arrived() -> list[bytes]:
        later = Later(make)
        async with later.running():
            scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
            halves = page_halves("OURS", later, scope)
            first = await anext(halves)
            is_made.set()
            return [first, *[half async for half in halves]]

    assert asyncio.run(arrived()) == [b"OURS", b"GRADIO</head></html>"]


def test_where_gradio_cannot_be_started_the_page_says_so_in_the_forms_place(workbench, monkeypatch):
    def broken(workbench):
        raise RuntimeError("no usable folder </script><b>")

    monkeypatch.setattr(server, "_import_gradio", broken)
    with TestClient(server.create_app(workbench, "0.1.0"), base_url="http://localhost:7860") as client:
        page = client.get("/").text
    begun, _, ended = page.partition("tellNoForm } from")
    assert begun.startswith("<!doctype html>") and "main.js" in begun
    assert 'tellNoForm("RuntimeError: no usable folder \\u003c/script>\\u003cb>")' in ended
    assert ended.endswith("</script></body></html>") and ended.count("</script>") == 1


def test_below_the_root_of_an_address_the_page_says_that_it_must_be_there(browser_path: str):
    with sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=browser_path, args=FLAGS).new_page()
        page.route("**/*", lambda route: route.fulfill(body=first_half(STATIC), content_type="text/html"))
        page.goto("http://localhost/proxy/7860/", wait_until="commit")
        expect(page.locator("html")).to_contain_text("must be at the root of an address")
        expect(page.locator("html *")).to_have_count(0)
