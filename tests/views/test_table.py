import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.views.groups import completion, group, two_sided_group
from workbench.run.completion import StepMark
from workbench.run.knobs import Knobs
from workbench.run.session import Session
from workbench.views.notebook import show, show_clip
from workbench.views.reward_svg import reward_svg
from workbench.views.table import group_html, mixed
from workbench.views.theme import THEMES

EVIL = "<img src=x onerror=alert(1)>'\"&"


class Reader(HTMLParser):
    """Collects the tags, attributes and visible text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], [], "", []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag != "wbr":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


def evil_group():
    changes = {"tokens": (EVIL, "b"), "answer": EVIL, "text": EVIL, "rewards": {EVIL: 1.0}, "reasons": {EVIL: EVIL}}
    made = completion([[1.0, 1.5]], 1.0, Knobs(), **changes)
    return group(made, completion([[1.0, 1.0]], -1.0, Knobs()), prompt=EVIL, target=EVIL)


def test_what_a_model_wrote_is_text_and_never_markup():
    page = Reader(group_html(evil_group()))
    assert "img" not in page.tags and "script" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    shown = EVIL.replace(" ", "·")
    assert page.text.count(shown) == 1, "the token"
    assert page.text.count(EVIL) == 4, "prompt, target, answer and the name of the reward"
    assert page.open == []


def test_svg_pictures_escape_too():
    assert "<img" not in show_clip(evil_group()).svg
    row = {"step": 1, "metrics": {"reward": 1.0}}
    event = {"index": 0, "step": 1, "knob": "loss_type", "old": EVIL, "new": "dapo"}
    assert "<img" not in reward_svg([row], [event])


def test_the_table_is_whole_without_scripts_or_style_sheets():
    page = group_html(two_sided_group())
    assert not {"script", "style", "link", "img"} & set(Reader(page).tags)
    assert "http" not in page and "url(" not in page


def test_every_completion_shows_its_numbers_as_text():
    made = two_sided_group()
    text = Reader(group_html(made)).text
    for part in ("1+1=?", "target 2", "mean 0.50, std 0.50", "+1.00", "−0.50", "abcd", "inner update 2 of 2", "answer"):
        assert part in text
    assert "结果" in Reader(group_html(made, lang="zh")).text


def test_the_advantage_leaves_the_centre_to_the_right_or_to_the_left():
    up, down = _rects(group_html(two_sided_group()))
    assert float(up["x"]) == 32 and float(down["x"]) + float(down["width"]) == pytest.approx(32, abs=0.1)
    assert up["fill"] != down["fill"]
    assert float(up["width"]) == pytest.approx(2 * float(down["width"]), abs=0.2)


def _rects(page: str) -> list[dict[str, str]]:
    return [dict(re.findall(r"(\w+)='([^']*)'", rect)) for rect in re.findall(r"<rect [^>]*>", page)]


def test_dead_tokens_are_hatched_outside_ones_underlined_and_ratio_1_is_blank():
    page = group_html(two_sided_group())
    chips = dict(zip("abcd", page.split("<span title='")[1:5], strict=True))
    assert "repeating-linear-gradient" in chips["d"] and "r 1.500" in chips["d"]
    assert "dotted" in chips["a"] and "repeating" not in chips["a"]
    assert "style" not in chips["b"].split("</span>")[0]
    assert "repeating" not in group_html(two_sided_group(), update=0).split("margin-top:8px")[0], "only in the legend"


def test_a_token_that_a_mask_left_out_is_dashed_and_not_hatched():
    kept = np.array([[True, False]])
    page = group_html(group(completion([[1.0, 1.5]], 1.0, Knobs(), kept_by_update=kept)))
    chip = page.split("<span title='")[2].split("</span>")[0]
    assert "dashed" in chip and "repeating" not in chip


def test_bars_start_at_zero_and_a_negative_one_ends_there():
    made = [completion([[1.0]], 1.0, Knobs(), reward=r, rewards={"a": r}) for r in (3.0, -1.0)]
    up, down = re.findall(r"margin-left:(\d+)px;width:(\d+)px", group_html(group(*made)))[::2]
    assert (up, down) == (("16", "48"), ("0", "16"))
    assert "−1.00" in Reader(group_html(group(*made))).text


def test_the_true_reward_has_a_column_only_where_another_is_trained_on():
    made = completion([[1.0]], 1.0, Knobs(), reward=2.5, true_reward=0.25)
    text = Reader(group_html(group(made))).text
    assert "true reward" in text and "2.50" in text and "0.25" in text
    assert "true reward" not in Reader(group_html(two_sided_group())).text


def test_the_steps_follow_their_tokens_with_reward_mark_and_sign():
    steps = (StepMark(2, 1.0, 0.5, EVIL), StepMark(3, 0.0, -1.5, "wanted 7"))
    page = Reader(group_html(group(completion([[1.0] * 4], 1.0, Knobs(), steps=steps))))
    assert "ab ✓ 1 → +0.50" in page.text and "c ✗ 0 → −1.50" in page.text
    assert "img" not in page.tags and ("title", EVIL) in page.attributes


def test_bytes_of_one_character_are_one_chip():
    tokens = ("<0xE4>", "<0xBD>", "<0xA0>", "b")
    page = Reader(group_html(group(completion([[1.0, 1.5, 1.0, 1.0]], 1.0, Knobs(), tokens=tokens))))
    assert "你b" in page.text and "0xE4" not in page.text


def test_missing_values_are_dashes_and_odd_completions_do_not_break_the_table():
    made = completion([[1.0]], 0.0, Knobs(), reward=None, rewards={"a": None}, is_correct=None)
    empty = completion([[]], 1.0, Knobs(), reward=-1.0, rewards={"a": float("nan")})
    page = Reader(group_html(group(made, empty, mean=None, std=None, target=None)))
    assert "–" in page.text and "∅" in page.text and "−1.00" in page.text and "nan" in page.text
    still = completion([[1.0]], 0.0, Knobs())
    assert "2 equal rewards" in Reader(group_html(group(still, still, is_dead=True))).text
    assert "equal rewards" not in Reader(group_html(replace(two_sided_group(), is_dead=True))).text, "steps or a critic"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_ink_stays_legible_on_the_strongest_chip(theme):
    colours = THEMES[theme]
    for hue in (colours.up, colours.dn):
        light, dark = sorted((_luminance(mixed(colours.sheet, hue, 1.0)), _luminance(colours.ink)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_show_gives_a_notebook_html_or_svg_and_a_terminal_a_line():
    made = two_sided_group()
    assert show(made)._repr_html_() == group_html(made) and repr(show(made)) == "1+1=?: 2 completions"
    assert show_clip(made)._repr_svg_().startswith("<svg") and "clipped objective" in repr(show_clip(made))


def test_show_takes_a_session_before_and_after_it_has_trained():
    session = Session()
    assert "No steps yet" in show(session).svg and repr(show(session)) == f"{session.store.title}: 0 steps"


@pytest.mark.parametrize("thing", [None, [two_sided_group()], "addition"])
def test_show_says_what_it_takes(thing):
    with pytest.raises(TypeError, match=f"a Session, not a {type(thing).__name__}"):
        show(thing)
    with pytest.raises(TypeError, match=f"takes a GroupRecord, not a {type(thing).__name__}"):
        show_clip(thing)


@pytest.mark.parametrize("draw", [show, show_clip])
def test_a_theme_or_a_language_that_there_is_not_is_refused_by_name(draw):
    with pytest.raises(ValueError, match="theme='blue' is none of light, dark"):
        draw(two_sided_group(), theme="blue")
    with pytest.raises(ValueError, match="lang='cn' is none of en, zh"):
        draw(two_sided_group(), lang="cn")
