import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.grpo import cispo_weight, sapo_gain, sapo_surrogate, vespo_phi

RATIOS = torch.logspace(-3, 1.2, 60, dtype=torch.float64)[None]  # to 16; the gate is 1 - 1e-7 there
ONES = torch.ones(1, 2, dtype=torch.float64)


def phi_of(log_ratios, advantage, **options):
    """Return phi of one completion with these log-ratios."""
    logps = torch.tensor([log_ratios], dtype=torch.float64)
    advantages = torch.tensor([advantage], dtype=torch.float64)
    return vespo_phi(logps, torch.zeros_like(logps), advantages, torch.ones_like(logps), **options).item()


def test_cispo_weighs_by_the_ratio_up_to_the_cap_and_passes_no_gradient():
    ratio = torch.tensor([[0.1, 5.0, 9.0]], requires_grad=True)
    weight = cispo_weight(ratio, 5.0)
    assert torch.equal(weight, torch.tensor([[0.1, 5.0, 5.0]])) and not weight.requires_grad


def test_the_gate_of_sapo_is_the_hand_computed_sigmoid():
    # tau 2, r = 1 + log(3) / 2: sigmoid(log 3) = 3/4, times 4/2, times A = -1
    ratio = torch.tensor([[1 + math.log(3) / 2]])
    torch.testing.assert_close(sapo_surrogate(ratio, torch.tensor([-1.0]), 1.0, 2.0), torch.tensor([[-1.5]]))


@pytest.mark.parametrize("advantage", [2.0, 0.0, -0.5])
def test_the_gain_of_sapo_times_a_is_its_gradient_on_the_log_ratio(advantage):
    log_ratio = RATIOS.log().requires_grad_()
    advantages = torch.tensor([advantage], dtype=torch.float64)
    sapo_surrogate(log_ratio.exp(), advantages, 0.7, 1.3).sum().backward()
    torch.testing.assert_close(log_ratio.grad, sapo_gain(RATIOS, advantages, 0.7, 1.3) * advantages[:, None])


@given(temperature=st.floats(0.1, 5.0), advantage=st.floats(-3.0, 3.0))
def test_sapo_is_steepest_at_ratio_one_where_its_slope_is_a_whatever_the_temperature(temperature, advantage):
    ratio = torch.cat([RATIOS, torch.ones(1, 1, dtype=torch.float64)], dim=1).requires_grad_()
    advantages = torch.tensor([advantage], dtype=torch.float64)
    sapo_surrogate(ratio, advantages, temperature, temperature).sum().backward()
    torch.testing.assert_close(ratio.grad[0, -1].item(), advantage, rtol=1e-12, atol=1e-12)
    assert (ratio.grad.abs() <= abs(advantage) + 1e-12).all()


def test_the_higher_temperature_of_bad_tokens_fades_faster():
    ratio = torch.tensor([[3.0]])
    assert sapo_gain(ratio, torch.tensor([-1.0])) < sapo_gain(ratio, torch.tensor([1.0]))


def test_phi_is_one_on_policy_and_the_hand_computed_power_elsewhere():
    assert phi_of([0.0, 0.0], 1.0) == 1 and phi_of([0.0, 0.0], -1.0) == 1
    two = [math.log(4), -math.log(2)]  # s = 2
    assert phi_of(two, 1.0) == pytest.approx(2**2 * math.exp(-3))
    assert phi_of(two, 0.0) == pytest.approx(2**2 * math.exp(-3)), "A = 0 counts as good"
    assert phi_of(two, -1.0) == pytest.approx(2**3 * math.exp(-2))
    assert phi_of(two, -1.0, k_neg=1.0, lambda_neg=0.5) == pytest.approx(2 * math.exp(-0.5))


def test_phi_peaks_where_the_ratio_is_k_over_lambda():
    ratios = torch.linspace(0.3, 3.0, 271, dtype=torch.float64)
    phis = [phi_of([math.log(r)], -1.0) for r in ratios.tolist()]
    assert ratios[phis.index(max(phis))].item() == pytest.approx(3 / 2)


def test_phi_holds_each_log_ratio_within_20_and_their_sum_within_its_ends():
    assert phi_of([-50.0, 20.0], 1.0) == 1, "-20 + 20"
    assert phi_of([-15.0, -15.0], 1.0, k_pos=1.0) == pytest.approx(1e-8 * math.exp(3))
    assert phi_of([15.0, 15.0], 1.0, k_pos=0.0, lambda_pos=0.0) == pytest.approx(math.exp(-1e-4 * math.exp(20)))


def test_a_phi_that_is_not_finite_takes_the_completion_out():
    assert phi_of([20.0], 1.0, k_pos=1e3, lambda_pos=0.0) == 0
    assert phi_of([float("nan")], 1.0) == 0


def test_phi_has_the_shape_of_the_advantages_and_sees_no_padding():
    logps = torch.tensor([[0.5, float("nan")]], dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[1, 0]])
    of_row = vespo_phi(logps, 0 * ONES, torch.tensor([1.0], dtype=torch.float64), mask)
    of_tokens = vespo_phi(logps, 0 * ONES, torch.tensor([[1.0, -1.0]], dtype=torch.float64), mask)
    assert of_row.tolist() == [phi_of([0.5], 1.0)]
    assert of_tokens.tolist() == [[phi_of([0.5], 1.0), phi_of([0.5], -1.0)]]
    assert not of_row.requires_grad
