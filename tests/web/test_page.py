"""A walk through the page in a real browser, on the real server with the bundled model."""

import json
import re
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 60_000  # a loaded machine loads torch slowly
COUNT_FRAMES = """{
  const nextFrame = window.requestAnimationFrame.bind(window);
  window.frames = 0;
  window.requestAnimationFrame = (draw) => { window.frames += 1; return nextFrame(draw); };
}"""
HOVER_ALL = """(() => {
  const nodes = [...document.querySelectorAll('#wb-top *, #wb-left *, #wb-right *')];
  for (const node of nodes) {
    const { x, y, width, height } = node.getBoundingClientRect();
    const at = { clientX: x + width / 2, clientY: y + height / 2 };
    node.dispatchEvent(new PointerEvent('pointermove', { bubbles: true, ...at }));
  }
  return nodes.length;
})()"""
SPILLING_CARDS = """async () => {
  const { set, flush, state } = await import('/wb/static/store.js');
  const edge = (node, side) => Math.max(...[...node.querySelectorAll('*')].map((e) => e.getBoundingClientRect()[side]));
  const spilling = [];
  for (const [row, completion] of state.record.completions.entries()) {
    for (let pin = 0; pin < completion.length; pin += 1) {
      set({ row, pin, k: 0 });
      flush();
      const [slot, card] = [document.querySelector('.lower'), document.querySelector('.card')];
      const ends = [...card.children].slice(1).map((column) => column.getBoundingClientRect().left);
      const { right, bottom } = slot.getBoundingClientRect();
      const over = [...card.children].some((c, i) => edge(c, 'right') > (ends[i] ?? right));
      if (over || edge(card, 'bottom') > bottom) spilling.push([row, pin]);
    }
  }
  return spilling;
}"""
FRAMES_OF_A_SECOND = "window.frames = 0, new Promise((resolve) => setTimeout(() => resolve(window.frames), 1000))"


@pytest.fixture(scope="module")
def browser(browser_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=browser_path, args=FLAGS)


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """An open page; when the test is over it must have logged no error and asked no other machine."""
    complaints: list[str] = []
    made = browser.new_page(viewport={"width": 1366, "height": 768})
    made.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    made.on("console", lambda said: complaints.append(f"console: {said.text}") if said.type == "error" else None)
    made.on("request", lambda request: complaints.append(request.url) if is_foreign(request.url, address) else None)
    yield made
    made.close()
    # answers 400 are how a bad value is refused; the browser logs them as failed loads
    assert [c for c in complaints if "status of 400" not in c] == []


def is_foreign(url: str, address: str) -> bool:
    return not url.startswith((address, "data:", "blob:"))


def open_page(page: Page, address: str, query: str = "lang=en&theme=light") -> None:
    page.goto(f"{address}/?{query}")
    expect(page.locator("#wb-left .row").first).to_be_visible(timeout=PATIENCE_MS)


def delta(address: str) -> dict:
    with urllib.request.urlopen(f"{address}/wb/delta") as answer:
        return json.loads(answer.read())


def command(address: str, name: str, **values: object) -> None:
    request = urllib.request.Request(
        f"{address}/wb/do/{name}", json.dumps(values).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        assert json.loads(answer.read()) == {"ok": True}


def start(address: str, config: dict) -> None:
    command(address, "start", config=config)


def expect_state(page: Page, state: str) -> None:
    expect(page.locator(".badge")).to_have_attribute("data-state", state, timeout=PATIENCE_MS)


def shown_step(page: Page) -> int:
    return int(re.sub(r"\D", "", page.locator(".where b").inner_text()))


def wait_for(page: Page, holds: Callable[[], object]) -> None:
    """Wait until `holds` does, while the browser goes on."""
    for _ in range(PATIENCE_MS // 100):
        if holds():
            return
        page.wait_for_timeout(100)
    raise AssertionError("waited in vain")


def turn(page: Page, knob: str, value: str) -> None:
    """Type a value into a knob's popover."""
    page.locator(f"[data-knob={knob}]").click()
    field = page.locator(".popover input.number").first
    field.fill(value)
    field.press("Enter")


def test_the_first_screen_is_a_recording_drawn_whole(page: Page, address: str) -> None:
    open_page(page, address)
    expect_state(page, "tape")
    assert page.locator("#wb-left .row").count() == 8
    assert page.locator("#wb-left .chip").count() > 5
    assert page.locator("#wb-right svg").count() >= 2
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight"), "no page scroll at 1366 × 768"


def test_a_page_on_which_nothing_happens_comes_to_rest(page: Page, address: str) -> None:
    page.add_init_script(COUNT_FRAMES)
    open_page(page, address)
    expect(page.locator("#wb-live #wb-left .row").first).to_be_visible(timeout=PATIENCE_MS)
    wait_for(page, lambda: page.evaluate(FRAMES_OF_A_SECOND) < 5)


def test_everything_that_can_be_asked_of_a_token_is_on_its_card(page: Page, address: str) -> None:
    open_page(page, address)
    page.locator("#wb-left .chip").nth(2).click()
    card = page.locator(".card")
    expect(card).to_be_visible()
    for quantity in ("log π", "k1", "k2", "k3", "clip(r) · A", "min("):
        assert quantity in card.inner_text()
    page.keyboard.press("Escape")
    expect(card).to_have_count(0)


@pytest.mark.parametrize(("width", "lang"), [(1366, "en"), (1280, "en"), (1280, "zh")])
def test_the_card_of_every_token_keeps_within_its_columns_and_its_slot(
    page: Page, address: str, width: int, lang: str
) -> None:
    page.set_viewport_size({"width": width, "height": 768})
    open_page(page, address, f"lang={lang}&theme=light")
    assert page.evaluate(SPILLING_CARDS) == []


def test_the_language_and_the_theme_switch_at_once_and_stay(page: Page, address: str) -> None:
    open_page(page, address, "lang=zh&theme=dark")
    expect(page.locator("[data-do=train]")).to_have_text("现场训练")
    assert page.evaluate("document.body.classList.contains('dark')")
    page.get_by_role("button", name="EN", exact=True).click()
    expect(page.locator("[data-do=train]")).to_have_text("Train here")


def test_a_run_is_trained_steered_paused_stepped_and_found_again(page: Page, address: str) -> None:
    open_page(page, address)
    page.locator("[data-do=train]").dblclick()
    expect_state(page, "running")
    assert page.evaluate("import('/wb/static/store.js').then(({ state }) => state.refused)") is None
    expect(page.locator("#wb-left .row").first).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_function("document.querySelector('.where b')?.textContent >= '2'", timeout=PATIENCE_MS)

    turn(page, "beta", "0.15")
    page.wait_for_function(
        "document.querySelector('[data-knob=beta]').textContent.includes('0.15')", timeout=PATIENCE_MS
    )
    page.keyboard.press("Escape")
    wait_for(page, lambda: delta(address)["events"])
    event = delta(address)["events"][0]
    assert (event["knob"], event["old"], event["new"]) == ("beta", 0.04, 0.15)
    expect(page.locator("#wb-right").get_by_text("→").first).to_be_visible(timeout=PATIENCE_MS)

    page.locator("[data-do=pause]").click()
    expect_state(page, "paused")
    before = delta(address)["next"]
    page.locator("[data-do=step]").click()
    wait_for(page, lambda: delta(address)["next"] > before)
    expect_state(page, "paused")
    now = delta(address)
    assert now["next"] in (before + 1, before + 2) and now["state"] == "paused"

    run = now["run"]
    page.reload()
    expect_state(page, "paused")
    page.wait_for_function("document.querySelector('.where b')?.textContent !== '0'", timeout=PATIENCE_MS)
    assert delta(address)["run"] == run and shown_step(page) == delta(address)["next"]


def test_a_step_of_before_shows_the_knobs_it_used_and_says_what_they_are_now(page: Page, address: str) -> None:
    open_page(page, address)
    expect_state(page, "paused")
    page.locator(".scrubber").press("Home")
    chip = page.locator("[data-knob=beta]")
    expect(chip).to_have_text("β0.04", timeout=PATIENCE_MS)
    expect(chip).to_have_attribute("aria-label", re.compile(r": β 0\.04, β now 0\.15$"))
    chip.hover()
    expect(page.locator(".tip")).to_contain_text("now")
    page.locator(".back").click()
    expect(chip).to_have_attribute("aria-label", re.compile(r": β 0\.15, change 1$"))


def test_a_value_out_of_range_is_refused_in_a_sentence_and_changes_nothing(page: Page, address: str) -> None:
    open_page(page, address)
    expect_state(page, "paused")
    before = delta(address)["knobs"]
    turn(page, "epsilon", "7")
    refusal = page.locator(".popover .says.error").first
    expect(refusal).to_contain_text("7")
    expect(refusal).to_contain_text("1")
    assert delta(address)["knobs"] == before and delta(address)["pending"] == {}


def test_a_second_tab_shows_the_same_run_and_can_stop_it(page: Page, browser: Browser, address: str) -> None:
    open_page(page, address)
    second = browser.new_page()
    open_page(second, address)
    assert shown_step(second) == shown_step(page)
    second.locator("[data-do=stop]").click()
    expect_state(second, "stopped")
    expect_state(page, "stopped")
    second.close()


def test_back_goes_to_the_tab_before_and_a_step_is_no_place_to_go_back_to(page: Page, address: str) -> None:
    page.goto("about:blank")
    open_page(page, address)
    shown = "document.body.dataset.view"
    for name, view in (("Curves", "curves"), ("Set up", "setup")):
        page.get_by_role("tab", name=name).click()
        page.wait_for_function(f"{shown} === '{view}' && location.search.includes('{view}')")
    page.go_back()
    page.wait_for_function(f"{shown} === 'curves'")
    page.go_back()
    page.wait_for_function(f"{shown} === 'live'")
    page.locator(".scrubber").press("Home")
    page.wait_for_timeout(400)  # the address follows a little later
    page.go_forward()
    page.wait_for_function(f"{shown} === 'curves'")
    page.go_back()
    page.wait_for_function(f"{shown} === 'live'")
    page.go_back()
    page.wait_for_url("about:blank")


def test_the_curves_are_drawn_by_plotly_when_they_are_looked_at(page: Page, address: str) -> None:
    open_page(page, address)
    assert page.evaluate("typeof window.Plotly") == "undefined", "4.8 MB are not loaded for nothing"
    page.get_by_role("tab", name="Curves").click() if page.get_by_role("tab").count() else page.get_by_text(
        "Curves"
    ).click()
    expect(page.locator("#wb-curves .figure.js-plotly-plot")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#wb-curves .memory")).to_contain_text("Memory", timeout=PATIENCE_MS)


def test_the_set_up_form_says_what_is_wrong_and_starts_what_is_right(page: Page, address: str) -> None:
    open_form(page, address)
    model = page.locator("#wb-set-model textarea, #wb-set-model input")
    model.fill("./no/such/model")
    page.locator("#wb-setup-train").click()
    refusal = page.locator("#wb-section-model .wb-refusal").first
    expect(refusal).to_contain_text("./no/such/model", timeout=PATIENCE_MS)
    assert delta(address)["state"] == "stopped"
    model.fill("tiny")
    page.locator("#wb-set-max-steps input").fill("1")
    page.locator("#wb-setup-train").click()
    expect_state(page, "finished")
    wait_for(page, lambda: (delta(address)["num_steps"], delta(address)["next"]) == (1, 1))
    expect(page.locator("#wb-live")).to_be_visible()


def open_form(page: Page, address: str) -> None:
    page.goto(f"{address}/?lang=en&theme=light&view=setup")
    expect(page.locator("#wb-set-model")).to_be_visible(timeout=PATIENCE_MS)


def test_the_form_shows_what_the_method_needs_and_a_preset_fills_it_in(page: Page, address: str) -> None:
    open_form(page, address)
    method, bug = page.locator("#wb-set-method"), page.locator("#wb-set-bug input")
    expect(bug).to_have_value("none")
    assert not page.locator("#wb-set-gae-lambda").is_visible()
    method.get_by_text("PPO", exact=True).click()
    expect(page.locator("#wb-set-gae-lambda")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#wb-section-method")).to_contain_text("critic")
    page.locator("#wb-set-preset-group").get_by_text("Mistakes").click()
    expect(bug).not_to_have_value("none", timeout=PATIENCE_MS)
    expect(page.locator("#wb-section-bug")).to_contain_text("Symptom")
    assert not page.locator("#wb-set-gae-lambda").is_visible(), "the mistakes are GRPO's"
    page.locator("#wb-set-preset-group").get_by_text("Tasks").click()
    expect(bug).to_have_value("none", timeout=PATIENCE_MS)


def test_a_run_with_a_mistake_says_so_on_every_tab(page: Page, address: str) -> None:
    open_form(page, address)
    page.locator("#wb-set-preset-group").get_by_text("Mistakes").click()
    expect(page.locator("#wb-set-bug input")).not_to_have_value("none", timeout=PATIENCE_MS)
    page.locator("#wb-setup-train").click()
    badge = page.locator(".bug")
    expect(badge).to_be_visible(timeout=PATIENCE_MS)
    page.locator("[data-do=stop]").click()
    expect_state(page, "stopped")
    for tab in ("Curves", "Set up", "Live"):
        page.get_by_role("tab", name=tab).click()
        expect(badge).to_be_visible()
    badge.hover()
    expect(page.locator(".tip")).to_contain_text("Symptom")
    page.get_by_role("button", name="中", exact=True).click()
    expect(badge).to_contain_text("错误")


def test_all_knobs_are_in_the_last_chip_and_one_that_is_refused_goes_back(page: Page, address: str) -> None:
    start(address, {"max_steps": 10_000})
    open_page(page, address)
    expect_state(page, "running")
    page.locator("[data-knob=others]").click()
    popover = page.locator(".popover")
    assert popover.bounding_box()["height"] <= 768 - 92  # type: ignore[index]
    names = set(delta(address)["knobs"])
    on_chips = {"beta", "epsilon", "epsilon_high", "num_generations", "num_iterations", "learning_rate", "temperature"}
    fields = popover.locator("[data-field]").evaluate_all("nodes => nodes.map(node => node.dataset.field)")
    assert sorted(fields) == sorted(names - on_chips)

    popover.get_by_role("radio", name="CISPO").click()
    expect(popover.locator("[data-field=loss_type] .says.error")).to_contain_text("epsilon_high")
    expect(popover.get_by_role("radio", name="CISPO")).to_have_attribute("aria-checked", "false")
    assert not popover.locator("[data-field=sapo_temperature_pos]").is_visible()
    popover.get_by_role("radio", name="SAPO").click()
    expect(popover.locator("[data-field=sapo_temperature_pos]")).to_be_visible(timeout=PATIENCE_MS)
    expect(popover.locator(".says.error")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(popover).to_have_count(0)
    page.locator("[data-do=stop]").click()
    expect_state(page, "stopped")


def test_a_steps_time_is_divided_into_stages_with_their_limits_and_the_fast_paths(page: Page, address: str) -> None:
    open_page(page, address)
    if delta(address)["state"] not in ("idle", "stopped"):
        page.locator("[data-do=stop]").click()
        wait_for(page, lambda: delta(address)["state"] == "stopped")
    start(address, {"max_steps": 2, "plain_paths": ["shared_prompt"]})
    wait_for(page, lambda: (delta(address)["state"], delta(address)["next"]) == ("stopped", 2))
    page.goto(f"{address}/?lang=en&theme=light&view=curves")
    items = page.locator(".timing-item")
    expect(items).to_have_count(5, timeout=PATIENCE_MS)
    names = [text.split()[0] for text in items.all_inner_texts()]
    assert names == ["Sample", "Reward", "Score", "Update", "Record"]
    assert ["× limit" in text for text in items.all_inner_texts()] == [True, False, True, True, False]
    expect(page.locator(".timing-limit")).to_have_count(3)
    expect(page.locator(".timing-path[data-path=fused_adamw]")).to_have_attribute("data-state", "on")
    expect(page.locator(".timing-path[data-path=cuda_graphs]")).to_have_attribute("data-state", "unfit")
    switched_off = page.locator(".timing-path[data-path=shared_prompt]")
    expect(switched_off).to_have_attribute("data-state", "off")
    switched_off.hover()
    expect(page.locator(".tip")).to_contain_text("this run's settings switch it off")
    items.nth(3).hover()
    expect(page.locator(".tip")).to_contain_text("physical limit")


def test_all_can_be_hovered_on_a_run_without_a_step(page: Page, address: str) -> None:
    if delta(address)["state"] not in ("idle", "stopped"):
        command(address, "stop")
        wait_for(page, lambda: delta(address)["state"] == "stopped")
    start(address, {})
    command(address, "stop")
    wait_for(page, lambda: delta(address)["state"] == "stopped")
    assert delta(address)["next"] == 0
    page.goto(f"{address}/?lang=en&theme=light")
    expect(page.locator("#wb-left .empty-says").first).to_be_visible(timeout=PATIENCE_MS)
    assert page.evaluate(HOVER_ALL) > 100  # the fixture complains of errors
    expect(page.locator(".tip")).not_to_be_empty()
