from xml.etree import ElementTree

import pytest

from tests.views.groups import completion, group, two_sided_group
from workbench.run.knobs import Knobs
from workbench.views.clip_svg import clip_svg
from workbench.views.reward_svg import reward_svg
from workbench.views.svg import round_ticks

SVG = "{http://www.w3.org/2000/svg}"


def read(text: str):
    root = ElementTree.fromstring(text)
    return root, " ".join(node.text or "" for node in root.iter(f"{SVG}text"))


@pytest.mark.parametrize("knobs", [{}, {"epsilon": 0.0}, {"epsilon": 1.0}, {"delta": 1.3}, {"epsilon_high": 3.0}])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_clip_plot_is_a_whole_document_with_every_mark_inside_it(knobs, lang):
    root, text = read(clip_svg(two_sided_group(**knobs), lang=lang, theme="dark"))
    for circle in root.iter(f"{SVG}circle"):
        assert 0 <= float(circle.get("cx")) <= 860 and 0 <= float(circle.get("cy")) <= 340
    assert ("梯度 = 0" if lang == "zh" else "gradient = 0") in text or knobs


def test_a_dead_token_is_a_cross_and_an_outside_one_a_triangle():
    root, text = read(clip_svg(two_sided_group()))
    assert len(list(root.iter(f"{SVG}path"))) == 2 + 1, "two tokens and the legend"
    assert len(list(root.iter(f"{SVG}polygon"))) == 2 + 1
    assert "2 zero gradient, 2 outside but learning, of 8 tokens" in text


def test_the_clip_plot_says_why_it_is_flat():
    assert "Every ratio is exactly 1:" in read(clip_svg(two_sided_group(), update=0))[1]
    dead = group(completion([[1.0]], 0.0, Knobs()), is_dead=True)
    assert "1 equal rewards," in read(clip_svg(dead))[1]


def row(step: int, reward: float | None) -> dict:
    return {"step": step, "metrics": {"reward": reward}}


def test_the_reward_breaks_where_it_was_not_measured_and_marks_the_knobs():
    event = {"index": 0, "step": 3, "knob": "beta", "old": 0.04, "new": 0.1}
    root, text = read(reward_svg([row(1, 0.5), row(2, None), row(3, 1.0), row(4, 1.5)], [event]))
    assert len(list(root.iter(f"{SVG}polyline"))) == 2
    assert "β 0.04 → 0.1 @ 3" in text and "1.50" in text and "step" in text


@pytest.mark.parametrize(("lang", "words"), [("en", "number: last step"), ("zh", "数字：最后一步")])
def test_the_reward_says_that_its_line_is_smoothed_and_its_number_is_not(lang, words):
    text = read(reward_svg([row(1, 0.0), row(2, 1.0)], [], lang=lang))[1]
    assert words in text and "1.00" in text
    assert words not in read(reward_svg([], [], lang=lang))[1]


def test_a_learned_reward_is_dashed_beside_the_solid_true_one_and_both_are_named():
    rows = [{"step": s, "metrics": {"reward": s / 2, "true_reward": 1.0}} for s in (1, 2)]
    root, text = read(reward_svg(rows, []))
    dashes = [line.get("stroke-dasharray") for line in root.iter(f"{SVG}polyline")]
    assert dashes == ["6 4", "none"] and "learned 1.00" in text and "true 1.00" in text
    heights = [float(node.get("y")) for node in root.iter(f"{SVG}text") if node.text in ("learned 1.00", "true 1.00")]
    assert abs(heights[0] - heights[1]) >= 14 - 1e-9


def test_the_reward_of_no_steps_is_a_sentence():
    assert "No steps yet" in read(reward_svg([], []))[1]


@pytest.mark.parametrize(("low", "high"), [(0, 1.5), (-0.3, 0.2), (1, 10), (0, 1e-4), (0, 3e6), (2, 2)])
def test_ticks_are_few_and_inside(low, high):
    ticks = round_ticks(low, high)
    assert 1 <= len(ticks) <= 6 and all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)
