"""The first screen in a real browser: drawn before Gradio is there, and then in its places, looking the same."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect, sync_playwright

from tests.web.test_page import COUNT_FRAMES, FLAGS, FRAMES_OF_A_SECOND, PATIENCE_MS, wait_for

LOOK = "(button) => [getComputedStyle(button).backgroundColor, JSON.stringify(button.getBoundingClientRect())]"


@pytest.fixture
def page(browser_path: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=browser_path, args=FLAGS).new_page()


def test_the_recording_can_be_read_and_travelled_without_gradio(page: Page, address: str) -> None:
    page.route("**/assets/**", lambda route: route.abort())
    page.goto(f"{address}/?lang=en&theme=light")
    expect(page.locator(".wb-left .row").first).to_be_visible(timeout=PATIENCE_MS)
    before = page.locator(".where b").inner_text()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".where b")).not_to_have_text(before)


def test_nothing_is_seen_of_the_move_into_gradios_places(page: Page, address: str) -> None:
    page.goto(f"{address}/?lang=en&theme=dark", wait_until="commit")
    page.wait_for_selector(".wb-left .row", timeout=PATIENCE_MS)
    before = page.locator("[data-do=train]").evaluate(LOOK)
    page.wait_for_selector("#wb-left .row", timeout=PATIENCE_MS)
    assert page.locator("[data-do=train]").evaluate(LOOK) == before
    assert page.evaluate("document.body.classList.contains('dark')")
    assert page.locator(".wb-first").count() == 0
    last = page.evaluate("[...document.styleSheets].at(-1).href")
    assert last.endswith("/wb/static/style.css"), "of equal rules, ours and Gradio's, the later counts"
    assert [page.locator(f"#wb-{name} .wb-{name}").count() for name in ("top", "left", "right", "curves")] == [1] * 4


def test_gradios_stopwatch_takes_no_frames_even_where_our_modules_come_after_gradio(page: Page, address: str) -> None:
    page.add_init_script(COUNT_FRAMES)
    waiting: list[Route] = []
    page.route("**/wb/static/main.js", lambda route: waiting.append(route))
    page.goto(f"{address}/?lang=en&theme=light&view=setup", wait_until="commit")
    page.wait_for_selector("gradio-app .gradio-container", timeout=PATIENCE_MS)
    page.wait_for_timeout(1000)
    for route in waiting:
        route.continue_()
    expect(page.locator("#wb-section-start")).to_contain_text("Start from", timeout=PATIENCE_MS)
    wait_for(page, lambda: page.evaluate(FRAMES_OF_A_SECOND) < 5)


@pytest.mark.parametrize(("lang", "says"), [("en", "The form is on its way."), ("zh", "表单正在加载")])
def test_until_the_form_is_there_its_place_says_so(page: Page, address: str, lang: str, says: str) -> None:
    page.route("**/assets/**", lambda route: route.abort())
    page.goto(f"{address}/?lang={lang}&view=setup")
    expect(page.locator(".wb-first-setup")).to_contain_text(says, timeout=PATIENCE_MS)
    page.locator(".tabs .tab").first.click()
    expect(page.locator(".wb-first-setup")).to_be_hidden()


@pytest.mark.parametrize(("lang", "title"), [("en", "Start from"), ("zh", "起点")])
def test_the_form_speaks_the_pages_language_and_not_the_browsers(
    page: Page, address: str, lang: str, title: str
) -> None:
    page.goto(f"{address}/?lang={lang}&view=setup")
    expect(page.locator("#wb-section-start")).to_contain_text(title, timeout=PATIENCE_MS)
    assert page.evaluate("document.documentElement.lang").startswith(lang)
    page.locator(f"button[lang={'zh' if lang == 'en' else 'en'}]").click()
    expect(page.locator("#wb-section-start")).not_to_contain_text(title)
