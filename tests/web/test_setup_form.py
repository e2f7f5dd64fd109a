"""The set-up form in a real browser, on a server that takes its time to label the form."""

import threading
from collections.abc import Iterator

import gradio as gr
import pytest
from playwright.sync_api import expect, sync_playwright

from tests.web.test_page import FLAGS, PATIENCE_MS
from workbench.run.bugs import BUGS
from workbench.run.knobs import Knobs
from workbench.run.presets import PRESETS
from workbench.run.workbench import Workbench
from workbench.web import setup_form
from workbench.web.setup_values import bug_words, method_words, preset_values, preset_words


@pytest.fixture
def may_label(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Until it is set, the form gets no Chinese labels."""
    may, words = threading.Event(), setup_form.section_words

    def late_words(name: str, lang: str) -> str:
        assert lang == "en" or may.wait(PATIENCE_MS / 1000)
        return words(name, lang)

    monkeypatch.setattr(setup_form, "section_words", late_words)
    yield may
    may.set()


def test_a_choice_made_before_the_form_was_labelled_stands(
    browser_path: str, own_address: str, may_label: threading.Event
) -> None:
    with sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=browser_path, args=FLAGS).new_page()
        page.goto(f"{own_address}/?lang=zh&view=setup")
        page.locator("#wb-set-preset-group").get_by_text("Mistakes").click(timeout=PATIENCE_MS)
        page.wait_for_timeout(1000)  # in which the choice would be answered, if it did not wait for its turn
        may_label.set()
        expect(page.locator("#wb-section-start")).to_contain_text("起点", timeout=PATIENCE_MS)
        expect(page.locator("#wb-set-bug input")).not_to_have_value("无", timeout=PATIENCE_MS)
        expect(page.locator("#wb-set-preset input")).not_to_have_value("")
        expect(page.locator("#wb-section-bug")).to_contain_text("症状")


@pytest.fixture
def may_fill(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Until it is set, a preset does not fill the form."""
    may, values = threading.Event(), setup_form.preset_values

    def late_values(preset: str) -> dict:
        assert may.wait(PATIENCE_MS / 1000)
        return values(preset)

    monkeypatch.setattr(setup_form, "preset_values", late_values)
    yield may
    may.set()


def test_train_waits_for_a_preset_that_still_fills_the_form(
    browser_path: str, own_address: str, workbench: Workbench, may_fill: threading.Event
) -> None:
    may_fill.set()
    with sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=browser_path, args=FLAGS).new_page()
        page.goto(f"{own_address}/?lang=en&view=setup")
        expect(page.locator("#wb-set-bug input")).to_have_value("none", timeout=PATIENCE_MS)
        may_fill.clear()
        page.locator("#wb-set-preset-group").get_by_text("Mistakes").click()
        page.locator("#wb-setup-train").click()
        page.wait_for_timeout(1000)  # in which the run would begin, if it did not wait
        assert workbench.state == "idle"
        may_fill.set()
        expect(page.locator(".badge[data-state=running]")).to_be_visible(timeout=PATIENCE_MS)
        assert workbench.store.config.bug != "none"


def test_a_refusal_is_told_in_the_language_of_the_page(browser_path: str, own_address: str) -> None:
    with sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=browser_path, args=FLAGS).new_page()
        page.goto(f"{own_address}/?lang=zh&view=setup")
        expect(page.locator("#wb-section-start")).to_contain_text("起点", timeout=PATIENCE_MS)
        page.locator("#wb-set-prompts-per-step input").fill("0")
        page.locator("#wb-setup-train").click()
        refusal = page.locator("#wb-section-model .wb-refusal").first
        expect(refusal).to_contain_text("prompts_per_step=0 不可用：必须是 [1,", timeout=PATIENCE_MS)


def test_a_run_begins_with_the_knobs_that_were_chosen_in_the_form(
    browser_path: str, own_address: str, workbench: Workbench
) -> None:
    with sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=browser_path, args=FLAGS).new_page()
        page.goto(f"{own_address}/?lang=zh&view=setup")
        expect(page.locator("#wb-section-knobs")).to_contain_text("G 组大小", timeout=PATIENCE_MS)
        page.locator("#wb-set-bug input").click()
        page.get_by_role("option", name=BUGS["k1_as_loss"].title[1]).click()
        expect(page.locator("#wb-set-beta input")).to_have_value("0.5", timeout=PATIENCE_MS)
        page.locator("#wb-set-bug input").click()
        page.get_by_role("option", name="无", exact=True).click()
        expect(page.locator("#wb-set-beta input")).to_have_value("0.04", timeout=PATIENCE_MS)
        page.locator("#wb-set-loss-type input").click()
        page.get_by_role("option", name="dr_grpo").click()
        page.locator("#wb-set-num-generations input").fill("1")
        page.locator("#wb-set-beta input").fill("0.1")
        page.locator("#wb-set-other-knobs textarea").fill("epsilon_high=0.28, top_k=40")
        page.locator("#wb-setup-train").click()
        refusal = page.locator("#wb-section-knobs .wb-refusal").first
        expect(refusal).to_contain_text("num_generations=1", timeout=PATIENCE_MS)
        expect(refusal).to_contain_text("[2, 256] 内的整数")
        page.locator("#wb-set-num-generations input").fill("4")
        page.locator("#wb-setup-train").click()
        expect(page.locator(".badge[data-state=running]")).to_be_visible(timeout=PATIENCE_MS)
    typed = {"num_generations": 4, "beta": 0.1, "loss_type": "dr_grpo", "epsilon_high": 0.28, "top_k": 40}
    knobs = Knobs().changed(dict(PRESETS["addition"].knobs) | typed)
    assert workbench.store.knobs == knobs


@pytest.mark.parametrize("preset", ["addition", "dapo", "iterative", "ppo", "bug_ratio_inverted"])
def test_the_form_opens_with_what_the_train_button_starts(workbench: Workbench, preset: str) -> None:
    workbench.preset = preset
    with gr.Blocks() as page:
        setup_form.build_setup_form(page, workbench)
    shown = {block.elem_id: block for block in page.blocks.values() if getattr(block, "elem_id", None)}
    expected = preset_values(preset) | {"preset": preset, "preset_group": PRESETS[preset].group}
    assert {name: shown[f"wb-set-{name.replace('_', '-')}"].value for name in expected} == expected
    assert (preset, PRESETS[preset].title[0]) in [choice[::-1] for choice in shown["wb-set-preset"].choices]
    blocks = [block for block in page.blocks.values() if isinstance(getattr(block, "elem_classes", None), list)]
    folds, about = ([block for block in blocks if name in block.elem_classes] for name in ("wb-fold", "wb-about"))
    learns, syncs = expected["learn_reward"], expected["sync_ref_model"]
    assert [fold.visible for fold in folds] == [expected["method"] == "ppo", learns, learns, syncs]
    said = [preset_words(preset, "en"), method_words(expected["method"], "en"), bug_words(expected["bug"], "en")]
    assert [part.value for part in about] == said
