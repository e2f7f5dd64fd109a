from math import inf

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.views.groups import completion, group, two_sided_group
from workbench import grpo
from workbench.run.knobs import Knobs
from workbench.views.clipplane import (
    DEAD,
    LIVE,
    OUTSIDE,
    Bounds,
    flat_ranges,
    log_reach,
    objective,
    ratio_ticks,
    stacked,
    token_marks,
    why_all_one,
    why_empty,
)

ratios = st.lists(st.floats(0.01, 20), min_size=1, max_size=8)
sides = st.floats(0, 0.9)
caps = st.none() | st.floats(1, 5)


@given(ratios, sides, sides, caps, st.sampled_from([1, -1]))
def test_the_curve_is_the_surrogate_of_the_loss(ratio, epsilon, epsilon_high, delta, sign):
    bounds = Bounds.of(Knobs(epsilon=epsilon, epsilon_high=epsilon_high, delta=delta))
    of_loss = grpo.clipped_surrogate(
        torch.tensor([ratio], dtype=torch.float64), torch.tensor([float(sign)]).double(), epsilon, epsilon_high, delta
    )
    np.testing.assert_allclose(objective(np.array(ratio), sign, bounds), of_loss[0].numpy(), rtol=1e-12)


@given(ratios, sides, sides, caps, st.sampled_from([1, -1]))
def test_the_shaded_ranges_are_where_the_clip_makes_the_gradient_zero(ratio, epsilon, epsilon_high, delta, sign):
    bounds = Bounds.of(Knobs(epsilon=epsilon, epsilon_high=epsilon_high, delta=delta))
    shaded = [any(low < r < high for low, high in flat_ranges(sign, bounds)) for r in ratio]
    of_loss = grpo.clipped(
        torch.tensor([ratio], dtype=torch.float64), torch.tensor([float(sign)]).double(), epsilon, epsilon_high, delta
    )
    assert shaded == of_loss[0].tolist()


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
    assert log_reach(marks, Bounds.of(Knobs())) < 1.2


def test_an_update_that_was_not_made_is_refused_by_name():
    with pytest.raises(IndexError, match="update=2, but the step made 2: 0 to 1"):
        token_marks(two_sided_group(), 2)


def test_the_sentence_says_why_there_is_nothing_to_see():
    made = two_sided_group()
    assert why_all_one(token_marks(made, 0), 2, "en") == "Every ratio is exactly 1: first update on these samples"
    assert why_all_one(token_marks(made, 0), 1, "en") == "Every ratio is exactly 1: one update per batch (μ = 1)"
    assert why_all_one(token_marks(made), 2, "en") is None
    dead = group(*(completion([[1.0, 1.0]], 0.0, Knobs()) for _ in range(3)), is_dead=True)
    assert why_empty(dead, token_marks(dead), "en") == "3 equal rewards, so A = 0: no gradient"
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
    bounds = Bounds.of(Knobs(**knobs))
    reach = log_reach(token_marks(two_sided_group(**knobs)), bounds)
    assert (1.0, "1") in ratio_ticks(bounds, reach)
    assert np.log(bounds.high) < reach
