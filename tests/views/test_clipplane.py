from itertools import pairwise
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.views.groups import completion, group, two_sided_group
from workbench.run.knobs import Knobs
from workbench.views.clipplane import (
    DEAD,
    LIVE,
    MASKED,
    OUTSIDE,
    Tick,
    log_reach,
    named_ratios,
    ratio_ticks,
    stacked,
    token_marks,
    why_all_one,
    why_empty,
    why_no_curve,
)
from workbench.views.clipwords import region_of_words
from workbench.views.objectives import Curve
from workbench.views.words import word


def test_tokens_are_live_outside_or_dead_and_keep_their_place():
    marks = token_marks(two_sided_group())
    assert marks.kind.tolist() == [OUTSIDE, LIVE, LIVE, DEAD, DEAD, LIVE, LIVE, OUTSIDE]
    assert marks.sign.tolist() == [1] * 4 + [-1] * 4
    assert marks.completion.tolist() == [0] * 4 + [1] * 4
    assert marks.token.tolist() == [0, 1, 2, 3] * 2
    np.testing.assert_allclose(np.exp(marks.log_ratio[:4]), [0.7, 1.0, 1.1, 1.5], rtol=1e-6)


def test_a_token_without_a_ratio_is_counted_and_not_drawn():
    marks = token_marks(group(completion([[1.0, np.nan, 1.2]], 1.0, Knobs())))
    assert (len(marks), marks.num_nan) == (2, 1)


def test_infinite_ratios_do_not_stretch_the_axis():
    marks = token_marks(group(completion([[np.inf, 0.0, 1.0]], 1.0, Knobs())))
    assert marks.log_ratio.tolist() == [inf, -inf, 0.0]
    assert log_reach(marks, Curve(Knobs())) < 1.2


def test_an_update_that_was_not_made_is_refused_by_name():
    with pytest.raises(IndexError, match="update=2, but the step made 2: 0 to 1"):
        token_marks(two_sided_group(), 2)


def test_the_sentence_says_why_there_is_nothing_to_see():
    made = two_sided_group()
    assert why_all_one(token_marks(made, 0), 2, "en") == "Every ratio is exactly 1: first update on these samples"
    assert why_all_one(token_marks(made, 0), 1, "en") == "Every ratio is exactly 1: one update per batch (μ = 1)"
    assert why_all_one(token_marks(made), 2, "en") is None
    dead = group(*(completion([[1.0, 1.0]], 0.0, Knobs()) for _ in range(3)), is_dead=True)
    assert why_empty(dead, token_marks(dead), "en") == "3 equal rewards, so A = 0: no gradient from them"
    silent = group(completion([[]], 1.0, Knobs()))
    assert "empty" in str(why_empty(silent, token_marks(silent), "en"))
    unscored = group(completion([[1.0]], 0.0, Knobs(), reward=None))
    assert "No reward function" in str(why_empty(unscored, token_marks(unscored), "en"))


@given(st.lists(st.floats(-1, 1), max_size=30))
def test_stacked_marks_stay_under_their_place_and_above_the_floor(x):
    x, y = np.array(x), np.full(len(x), 0.5)
    placed = stacked(x, y, close=0.1, pitch=0.05, lowest=0.0)
    assert (placed <= y).all() and (placed >= -1e-9).all()


@pytest.mark.parametrize("knobs", [{}, {"epsilon": 0.0}, {"epsilon": 1.0}, {"epsilon": 0.01}, {"epsilon_high": 5.0}])
def test_the_axis_always_shows_1_and_the_band(knobs):
    curve = Curve(Knobs(**knobs))
    reach = log_reach(token_marks(two_sided_group(**knobs)), curve)
    texts = [tick.text for tick in ratio_ticks(curve, reach)]
    named = ["1", *(text for ratio, text in named_ratios(curve) if ratio > 0)]
    assert texts[: len(named)] == named
    assert np.log(curve.bounds.high) < reach


@given(st.floats(0, 0.99), st.none() | st.floats(0, 5), st.lists(st.floats(0.3, 3), min_size=1, max_size=4))
def test_no_label_of_the_axis_lies_on_another(epsilon, epsilon_high, ratios):
    knobs = Knobs(epsilon=epsilon, epsilon_high=epsilon_high)
    reach = log_reach(token_marks(group(completion([ratios], 1.0, knobs))), Curve(knobs))
    spans = sorted(tick.span(reach) for tick in ratio_ticks(Curve(knobs), reach))
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_the_upper_limit_has_its_own_name_where_it_differs():
    named = {high: named_ratios(Curve(Knobs(epsilon=0.2, epsilon_high=high)))[1] for high in (None, 0.2, 0.28)}
    assert named == {None: (1.2, "1+ε"), 0.2: (1.2, "1+ε"), 0.28: (1.28, "1+ε_high")}


def test_limits_close_to_1_lean_away_from_it_and_others_do_not():
    ticks = ratio_ticks(Curve(Knobs(epsilon=0.05, epsilon_high=0.5)), 0.8)
    assert ticks[:3] == [Tick(1.0, "1"), Tick(0.95, "1−ε", -1), Tick(1.5, "1+ε_high")]


@pytest.mark.parametrize("cap", [0.3, 1.5, 5.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_what_is_said_of_a_cap_is_not_written_beyond_the_region_it_is_true_of(cap, sign):
    curve = Curve(Knobs(loss_type="cispo", epsilon_high=cap))
    start, end, name = region_of_words(curve, sign, log_reach(token_marks(two_sided_group()), curve))
    assert name == "cap_note" and start < end and "up to the cap, then held" in word(name, "en")


def test_a_band_of_a_few_thousandths_fills_the_axis():
    still = group(completion([[1.0, 1.0]], 1.0, Knobs(epsilon=0.003)))
    assert log_reach(token_marks(still), Curve(Knobs(epsilon=0.003))) < 0.01


@pytest.mark.parametrize("cap", [1.5, 5.0])
def test_the_cap_of_cispo_is_on_its_axis(cap):
    knobs = Knobs(loss_type="cispo", epsilon_high=cap)
    made = group(completion([[1.0, cap + 1]], -1.0, knobs))
    reach = log_reach(token_marks(made), Curve(knobs))
    assert np.log(cap) < reach and f"{cap:g}" in [tick.text for tick in ratio_ticks(Curve(knobs), reach)]
    assert token_marks(made).kind.tolist() == [LIVE, OUTSIDE], "capped at either sign of A"


def test_a_token_lies_on_the_side_of_its_own_advantage():
    made = completion([[1.1, 1.1, 1.1]], 1.0, Knobs(), token_advantages=np.array([2.0, -1.0, 0.0], dtype=np.float32))
    marks = token_marks(group(made))
    assert (marks.sign.tolist(), marks.token.tolist()) == ([1, -1], [0, 1])


def test_a_token_that_a_mask_left_out_is_neither_live_nor_dead():
    kept = np.array([[True, False]])
    assert token_marks(group(completion([[1.0, 1.5]], 1.0, Knobs(), kept_by_update=kept))).kind.tolist() == [
        LIVE,
        MASKED,
    ]
    assert token_marks(group(completion([[1.0, 1.5]], 1.0, Knobs(), is_masked=True))).kind.tolist() == [MASKED] * 2


@pytest.mark.parametrize(
    ("knobs", "log_ratio"),
    [(Knobs(importance_sampling_level="sequence"), np.log(2) / 2), (Knobs(loss_type="vespo"), np.log(2))],
)
def test_a_completion_with_one_ratio_has_one_mark(knobs, log_ratio):
    marks = token_marks(group(completion([[1.0, 2.0]], 1.0, knobs), completion([[]], 1.0, knobs)))
    assert marks.completion.tolist() == [0]
    np.testing.assert_allclose(marks.log_ratio, [log_ratio], rtol=1e-6)


def test_a_method_without_a_ratio_says_so():
    assert "SFT has no ratio" in str(why_no_curve("sft", "en"))
    assert why_no_curve("ppo", "en") is why_no_curve("grpo", "zh") is None
