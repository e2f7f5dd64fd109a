"""The list of earlier runs: its route, and in a real browser the menu that opens one, on made-up records."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from starlette.testclient import TestClient

from tests.run.records import make_record
from tests.web.conftest import fake_engine
from tests.web.test_page import FLAGS, PATIENCE_MS
from tests.web.test_routes import wait_until
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs
from workbench.run.recorder import RunFolder
from workbench.run.store import RunStore, open_run
from workbench.run.workbench import Workbench

MARKUP = "<b>bold<b> words that are many more than fit into a line of the list of earlier runs"


def make_run(path: Path, *betas: float, **settings) -> None:
    config, first = RunConfig(**settings), Knobs(beta=betas[0])
    store = RunStore(config, first, title="t", folder=RunFolder.create(path, config, first))
    for step, beta in enumerate(betas, start=1):
        store.append(make_record(step, Knobs(beta=beta)))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with three runs to open, and one that is damaged."""
    make_run(tmp_path / "20261101-100000-addition", 0.1, 0.1, 0.2, 0.2)
    make_run(tmp_path / "one step", 0.3, method="ppo", seed=3)
    make_run(tmp_path / MARKUP, 0.1, 0.1, model="./elsewhere")
    make_run(tmp_path / "damaged", 0.1, 0.1)
    lines = (tmp_path / "damaged" / "metrics.jsonl").read_bytes()
    (tmp_path / "damaged" / "metrics.jsonl").write_bytes(b"junk\n" + lines)
    return tmp_path


@pytest.fixture
def workbench(runs: Path) -> Iterator[Workbench]:
    tape = RunStore(RunConfig(), Knobs(beta=0.04), title="tape", source="tape", focus={"step": 2, "group": 0})
    for step in (1, 2, 3):
        tape.append(make_record(step, Knobs(beta=0.04)))
    made = Workbench(tape, fake_engine, runs_folder=runs, preset="addition")
    yield made
    assert made.close()


def listed(client: TestClient) -> dict[str, bool]:
    return {run["name"]: run["shown"] for run in client.get("/wb/runs").json()["runs"]}


def test_the_runs_are_listed_with_what_is_on_show(client: TestClient) -> None:
    answer = client.get("/wb/runs")
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert (told["recording"]["title"], told["recording"]["steps"], told["recording"]["shown"]) == ("tape", 3, True)
    one = next(run for run in told["runs"] if run["name"] == "one step")
    assert (one["method"], one["steps"], one["reward"], one["knobs"]["beta"]) == ("ppo", 1, 0.5, 0.3)
    assert len(told["runs"]) == 4 and not any(listed(client).values())


def test_a_run_is_opened_by_its_name_and_its_groups_can_be_fetched(client: TestClient) -> None:
    assert client.get("/wb/delta").json()["opened"] is False
    assert client.post("/wb/do/open", json={"run": "one step"}).json() == {"ok": True}
    delta = client.get("/wb/delta").json()
    assert (delta["source"], delta["opened"], delta["title"], delta["seed"]) == ("replay", True, "one step", 3)
    assert Path(delta["folder"]).name == "one step" and delta["num_steps"] == 1
    assert client.get(f"/wb/group/{delta['run']}/1").status_code == 200
    assert listed(client)["one step"] and sum(listed(client).values()) == 1
    assert client.get("/wb/runs").json()["recording"]["shown"] is False


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"run": "../one step"}, "there is no run"),
        ({"run": "/etc"}, "there is no run"),
        ({"run": ["one step"]}, "there is no run"),
        ({}, "there is no run"),
        ({"run": "damaged"}, "line 1 of "),
    ],
)
def test_what_cannot_be_opened_is_said_and_changes_nothing(client: TestClient, arguments: dict, named: str) -> None:
    before = client.get("/wb/delta").json()
    answer = client.post("/wb/do/open", json=arguments)
    assert answer.status_code == 400 and named in answer.json()["error"]
    assert client.get("/wb/delta").json() == before


def test_the_run_in_progress_is_on_the_list_and_no_other_can_be_opened(
    client: TestClient, workbench: Workbench
) -> None:
    client.post("/wb/do/start", json={"config": {"max_steps": 10_000}})
    wait_until(lambda: workbench.store.newest_step >= 1)
    assert sum(listed(client).values()) == 1 and len(listed(client)) == 5
    answer = client.post("/wb/do/open", json={"run": "one step"})
    assert answer.status_code == 400 and "a run is going on" in answer.json()["error"]


def test_the_run_that_the_server_was_started_on_plays_the_recording(runs: Path) -> None:
    from workbench.web.server import create_app  # noqa: PLC0415 - gradio takes seconds

    made = Workbench(open_run(runs / "one step"), fake_engine, runs_folder=runs, preset="addition")
    with TestClient(create_app(made, "0.1.0"), base_url="http://localhost:7860") as client:
        assert client.get("/wb/delta").json()["opened"] is False
        assert client.get("/wb/runs").json()["recording"]["shown"] and not any(listed(client).values())
        client.post("/wb/do/open", json={"run": "one step"})
        assert client.get("/wb/delta").json()["opened"] is True and listed(client)["one step"]


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"sec-fetch-site": "cross-site"}])
def test_another_site_neither_reads_the_list_nor_opens_a_run(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/wb/do/open", json={"run": "one step"}, headers=headers).status_code == 403
    if "host" in headers:
        assert client.get("/wb/runs", headers=headers).status_code == 403


# --- the page --------------------------------------------------------------------------------------------------------


@pytest.fixture
def page(browser_path: str, own_address: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
        made = browser.new_context(viewport={"width": 1366, "height": 768}).new_page()
        complaints: list[str] = []
        made.on("pageerror", lambda error: complaints.append(str(error)))
        made.goto(f"{own_address}/?lang=en&theme=light")
        expect(made.locator("#wb-left .row").first).to_be_visible(timeout=PATIENCE_MS)
        yield made
        assert complaints == []


def open_menu(page: Page) -> None:
    page.locator(".subject").click()
    expect(page.locator(".run-item")).to_have_count(5)


def item(page: Page, text: str):
    return page.locator(".run-item").filter(has_text=text)


def test_an_earlier_run_is_opened_at_its_last_step_and_the_recording_comes_back(page: Page) -> None:
    open_menu(page)
    expect(page.locator(".run-item").first).to_have_attribute("aria-checked", "true")
    expect(item(page, "one step")).to_contain_text("PPO · L 64 · β 0.30")
    item(page, "addition").click()
    expect(page.locator(".popover")).to_have_count(0)
    expect(page.locator(".badge")).to_have_attribute("data-state", "replay")
    expect(page.locator(".subject")).to_contain_text("addition, cpu")
    expect(page.locator(".where")).to_have_text("4 of 4")
    expect(page.locator("#wb-left .row")).not_to_have_count(0)
    expect(page.locator("#wb-right").get_by_text("β 0.10 → 0.20").first).to_be_visible()
    expect(page.locator("[data-do]")).to_have_text(["Start again", "Play tape", "Recorded run"])
    page.wait_for_url(re.compile("step=4"))  # the address follows a little later
    page.reload()
    expect(page.locator(".where")).to_have_text("4 of 4", timeout=PATIENCE_MS)
    open_menu(page)
    expect(item(page, "addition")).to_have_attribute("aria-checked", "true")
    page.keyboard.press("Escape")
    page.locator("[data-do=tape]").click()
    expect(page.locator(".badge")).to_have_attribute("data-state", "tape")
    expect(page.locator("[data-do]")).to_have_text(["Train here", "Play tape"])


def test_an_opened_run_is_started_again_with_its_own_settings(page: Page, workbench: Workbench) -> None:
    open_menu(page)
    item(page, "one step").click()
    expect(page.locator(".badge")).to_have_attribute("data-state", "replay")
    page.locator("[data-do=again]").hover()
    expect(page.locator(".tip")).to_contain_text("into a new folder")
    page.locator("[data-do=again]").click()
    expect(page.locator(".badge")).to_have_attribute("data-state", re.compile("running|paused|stopped|finished"))
    config = workbench.store.config
    assert (config.method, config.seed, workbench.store.source) == ("ppo", 3, "live")


def test_names_are_text_and_keep_to_their_line(page: Page) -> None:
    open_menu(page)
    line = item(page, "<b>bold<b>").locator("b")
    expect(line).to_have_text(MARKUP)
    assert line.evaluate("node => node.scrollWidth > node.clientWidth && node.childElementCount === 0")
    item(page, "<b>bold<b>").click()
    expect(page.locator(".subject")).to_contain_text(MARKUP)
    box = page.locator(".subject").bounding_box()
    assert box is not None and box["width"] <= 260


def test_the_list_is_walked_by_keys_and_gives_the_focus_back(page: Page) -> None:
    page.locator(".subject").focus()
    page.keyboard.press("ArrowDown")
    items = page.locator(".run-item")
    expect(items.first).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(items.last).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    expect(items.nth(1)).to_be_focused()
    page.keyboard.press("s")  # no step is trained meanwhile
    page.keyboard.press("Escape")
    expect(page.locator(".popover")).to_have_count(0)
    expect(page.locator(".subject")).to_be_focused()
    expect(page.locator(".subject")).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("o")
    expect(items.first).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator(".popover")).to_have_count(0)
    page.keyboard.press("o")
    expect(items.first).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page.locator(".badge")).to_have_attribute("data-state", "replay")
    expect(page.locator(".subject")).to_be_focused()


def test_while_a_run_is_going_on_the_list_is_there_to_read(page: Page, workbench: Workbench) -> None:
    workbench.start(None, {"max_steps": 10**6})
    page.locator("[data-do=pause]").click()
    expect(page.locator(".badge")).to_have_attribute("data-state", "paused")
    run = workbench.store
    page.locator(".subject").click()
    expect(page.locator(".runs-says")).to_have_text("A run is going on: stop it to open another.")
    expect(page.locator(".run-item[aria-disabled=true]")).to_have_count(6)
    item(page, "one step").click(force=True)
    expect(page.locator(".popover")).to_have_count(1)
    assert workbench.store is run
    workbench.stop()  # what the list says is no longer so
    expect(page.locator(".popover")).to_have_count(0)


def test_a_run_that_is_damaged_says_so_and_what_was_on_show_stays(page: Page) -> None:
    open_menu(page)
    item(page, "damaged").click()
    expect(page.locator(".phase")).to_contain_text("line 1 of ")
    expect(page.locator(".badge")).to_have_attribute("data-state", "tape")
    page.get_by_role("button", name="中", exact=True).click()
    expect(page.locator(".phase")).to_contain_text("第 1 行已损坏")


def test_another_tab_shows_what_was_opened_in_this_one(page: Page) -> None:
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator("#wb-left .row").first).to_be_visible(timeout=PATIENCE_MS)
    open_menu(other)
    open_menu(page)
    item(page, "one step").click()
    expect(other.locator(".subject")).to_contain_text("one step")
    expect(other.locator(".popover")).to_have_count(0)
    expect(other.locator(".where")).to_have_text("1 of 1")


def test_without_runs_the_list_says_that_they_will_be_there(page: Page, workbench: Workbench, tmp_path: Path) -> None:
    workbench.runs_folder = tmp_path / "nowhere"
    page.locator(".subject").click()
    expect(page.locator(".runs-says")).to_have_text("Runs trained here appear in this list.")
    expect(page.locator(".run-item")).to_have_count(1)
