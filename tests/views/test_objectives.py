import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.web.losses import RATIOS, SETTINGS, curve, loss_options
from workbench import grpo
from workbench.grpo import grpo_loss
from workbench.run.knobs import Knobs
from workbench.views.objectives import WEIGHTS, Bounds, Curve, flat_ranges, objective, sequence_log_ratio

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


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(map(str, s.values())))
def test_the_weight_of_the_gradient_is_what_autograd_says_of_every_loss(settings, sign):
    drawn, truth = Curve(Knobs(**settings)), curve(Knobs(**settings), sign)
    np.testing.assert_allclose(drawn.gain(np.array(RATIOS), sign), truth["gains"], rtol=1e-9, atol=1e-12)
    if drawn.form not in WEIGHTS:
        np.testing.assert_allclose(drawn.value(np.array(RATIOS), sign), truth["values"], rtol=1e-9)


def test_a_sequence_ratio_is_what_vespo_weighs_a_completion_with():
    logps = torch.tensor([[-0.5, -1.0, -0.25]], dtype=torch.float64, requires_grad=True)
    old, knobs = torch.tensor([[-0.75, -0.5, -0.5]], dtype=torch.float64), Knobs(loss_type="vespo")
    mask, advantages = torch.ones_like(old), torch.tensor([2.0], dtype=torch.float64)
    terms = grpo_loss(logps, old, None, advantages, mask, **loss_options(knobs))
    (gradient,) = torch.autograd.grad(terms.loss, logps)
    ratio = np.exp(sequence_log_ratio((logps - old).detach().numpy()))
    np.testing.assert_allclose(-gradient.numpy(), 2 / 3 * Curve(knobs).gain(np.array([[ratio] * 3]), 1), rtol=1e-12)


def test_a_completion_that_has_run_away_is_held_and_one_without_a_ratio_has_none():
    assert sequence_log_ratio(np.array([30.0, 30.0])) == 20.0
    assert sequence_log_ratio(np.array([-np.inf])) == pytest.approx(np.log(1e-8))
    assert np.isnan(sequence_log_ratio(np.array([np.nan, 0.0])))
    assert Curve(Knobs(loss_type="vespo")).gain(np.array([0.0, np.inf]), 1).tolist() == [0.0, 0.0]


def test_the_cap_is_epsilon_high_itself():
    assert Curve(Knobs(loss_type="cispo", epsilon_high=5.0)).cap == 5.0
    assert Curve(Knobs(epsilon_high=5.0)).cap is None
