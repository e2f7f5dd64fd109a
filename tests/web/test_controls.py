"""The knobs and the buttons of a run in a real browser, on made-up records: by mouse, by keyboard, at a run's end."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from tests.web.test_page import FLAGS, PATIENCE_MS
from workbench.run.workbench import Workbench


@pytest.fixture
def page(browser_path: str, own_address: str, workbench: Workbench) -> Iterator[Page]:
    """A page on a paused run that has no end."""
    workbench.start(None, {"max_steps": 10**6}, {"beta": 0.04})
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
        made = browser.new_context().new_page()
        made.goto(f"{own_address}/?lang=en&theme=light")
        expect(made.locator("#wb-left .row").first).to_be_visible(timeout=PATIENCE_MS)
        made.locator("[data-do=pause]").click()
        expect(made.locator(".badge")).to_have_attribute("data-state", "paused")
        yield made


def field(page: Page, chip: str, knob: str) -> Locator:
    """Open a chip's popover and return one of its fields."""
    page.locator(f"[data-knob={chip}]").click()
    return page.locator(f".popover [data-field={knob}]")


def test_a_command_wakes_the_other_pages_of_the_browser(page: Page) -> None:
    """They may be resting, for up to ten seconds."""
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator(".badge")).to_have_attribute("data-state", "paused", timeout=PATIENCE_MS)
    other.evaluate("new BroadcastChannel('wb:commands').onmessage = () => { document.title = 'woken' }")
    page.locator("[data-do=resume]").click()
    expect(other).to_have_title("woken")
    expect(other.locator(".badge")).to_have_attribute("data-state", "running")


@pytest.mark.parametrize(
    ("group", "knob", "value"),
    [("loss", "delta", "4.0"), ("selection", "off_policy_mask_threshold", "0.02")],
)
def test_a_knob_that_was_off_is_switched_on_with_a_value_that_is_common(
    page: Page, workbench: Workbench, group: str, knob: str, value: str
) -> None:
    chosen = field(page, "others", knob)
    if not chosen.is_visible():
        page.locator(f"[data-group={group}] .group-toggle").click()
    chosen.locator("input[type=checkbox]").uncheck()
    expect(chosen.locator("input.number")).to_have_value(value)
    assert workbench.knobs_and_pending()[1][knob]["new"] == float(value)


def test_the_arrows_turn_a_knob_by_one_of_its_steps_and_a_reader_hears_its_value(
    page: Page, workbench: Workbench
) -> None:
    slider = field(page, "beta", "beta").locator("input[type=range]")
    expect(slider).to_have_attribute("aria-valuetext", "0.04")
    for _ in range(3):
        slider.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "0.07")
    slider.press("ArrowLeft")
    expect(page.locator(".popover input.number")).to_have_value("0.06")
    expect(page.locator(".popover .says")).to_contain_text("0.04 → 0.06 waits")
    assert workbench.knobs_and_pending()[1]["beta"]["new"] == 0.06


def test_the_knobs_of_a_run_that_has_ended_are_fixed_and_say_so(page: Page) -> None:
    number = field(page, "beta", "beta").locator("input.number")
    expect(number).to_be_enabled()
    page.locator("[data-do=stop]").click()
    expect(page.locator(".badge")).to_have_attribute("data-state", "stopped")
    expect(page.locator(".popover")).to_have_count(0)
    expect(field(page, "beta", "beta").locator("input.number")).to_be_disabled()
    expect(page.locator(".popover .note")).to_contain_text("This run has ended")
    expect(page.locator(".popover .says")).to_have_text("")


def test_a_key_that_pressed_a_button_presses_no_other_one_the_next_time(page: Page, workbench: Workbench) -> None:
    num_steps = workbench.store.newest_step
    page.locator("[data-do=step]").focus()
    for _ in range(2):
        num_steps += 1
        page.keyboard.press("Enter")
        expect(page.locator(".where b")).to_have_text(f"{num_steps:,}".replace(",", "\u2009"))
        expect(page.locator(".badge")).to_have_attribute("data-state", "paused")
        expect(page.locator("[data-do=step]")).to_be_focused()
    page.locator("[data-do=resume]").focus()
    for name in ("pause", "resume"):
        page.keyboard.press("Enter")
        expect(page.locator(f"[data-do={name}]")).to_be_focused()
    page.locator("[data-do=stop]").focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-do=again]")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator(".badge")).to_have_attribute("data-state", "stopped")


def test_a_run_that_ends_before_its_first_step_promises_none(
    page: Page, workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> Iterator:
        raise OSError("no such model")
        yield

    monkeypatch.setattr(workbench, "_open_engine", never)
    workbench.stop()
    expect(page.locator(".badge")).to_have_attribute("data-state", "stopped")
    workbench.start(None, {"max_steps": 2})
    expect(page.locator(".badge")).to_have_attribute("data-state", "failed")
    expect(page.locator("#wb-left .rows-box")).to_contain_text("This run ended before its first step")
