import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.grpo import (
    CLIPPED_LOSS_TYPES,
    LOSS_TYPES,
    cispo_clip,
    clip_flags,
    clip_high,
    clip_low,
    clipped,
    clipped_surrogate,
    outside_band,
)

# None; then above the band, on an upper end, inside, at 1, inside below 1, under its lower end.
DELTAS = [None, 3.0, 1.28, 1.2, 1.1, 1.0, 0.9, 0.5]
BANDS = [(0.2, None), (0.2, 0.28), (0.3, 0.1), (0.0, 0.0)]
ADVANTAGES = torch.tensor([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0])  # powers of two: r*A is exact, so ties are true ties


def grid_of_ratios(epsilon, epsilon_high, delta):
    """Return ratios on, just below and just above each edge, and a spread of others, for each advantage."""
    edges = [1 - epsilon, 1 + (epsilon if epsilon_high is None else epsilon_high), 1.0, *([delta] if delta else [])]
    edges = torch.tensor(edges)
    near = [edges, torch.nextafter(edges, torch.tensor(0.0)), torch.nextafter(edges, torch.tensor(9.0))]
    return torch.cat([*near, torch.logspace(-2, 2, 41)]).expand(len(ADVANTAGES), -1).clone()


@pytest.mark.parametrize(("band", "delta"), list(itertools.product(BANDS, DELTAS)))
def test_clipped_is_the_zero_gradient_of_the_surrogate_except_where_the_advantage_is_zero(band, delta):
    ratio = grid_of_ratios(*band, delta).requires_grad_()
    clipped_surrogate(ratio, ADVANTAGES, *band, delta).sum().backward()
    mask = clipped(ratio, ADVANTAGES, *band, delta)
    has_advantage = (ADVANTAGES != 0)[:, None].expand_as(mask)
    assert torch.equal(mask, (ratio.grad == 0) & has_advantage)


@pytest.mark.parametrize(("band", "delta"), list(itertools.product(BANDS, DELTAS)))
def test_a_live_token_keeps_the_whole_gradient(band, delta):
    ratio = grid_of_ratios(*band, delta).requires_grad_()
    clipped_surrogate(ratio, ADVANTAGES, *band, delta).sum().backward()
    full = ADVANTAGES[:, None].expand_as(ratio)
    assert torch.equal(ratio.grad, torch.where(clipped(ratio, ADVANTAGES, *band, delta), 0.0, full))


@given(ratio=st.floats(0.01, 100.0), advantage=st.sampled_from([-1.0, 1.0]), epsilon=st.floats(0.0, 0.9))
def test_without_delta_only_tokens_outside_the_band_are_clipped(ratio, advantage, epsilon):
    ratio, advantages = torch.tensor([[ratio]]), torch.tensor([advantage])
    cut = clipped(ratio, advantages, epsilon)
    assert not (cut & ~outside_band(ratio, epsilon)).any()
    # outside the band, exactly one of the two signs of the advantage is cut
    assert torch.equal(cut ^ clipped(ratio, -advantages, epsilon), outside_band(ratio, epsilon))


@given(ratio=st.floats(0.01, 100.0), advantage=st.sampled_from([-1.0, 0.0, 1.0]))
def test_without_delta_trls_metric_and_the_lost_gradient_are_the_same_tokens(ratio, advantage):
    ratio, advantages = torch.tensor([[ratio]]), torch.tensor([advantage])
    metric = clip_low(ratio, advantages, 0.2) | clip_high(ratio, advantages, 0.28)
    assert torch.equal(metric, clipped(ratio, advantages, 0.2, 0.28))


def test_trls_metric_does_not_see_what_delta_cuts():
    ratio, advantages = torch.tensor([[5.0], [5.0]]), torch.tensor([-1.0, 1.0])
    assert not clip_low(ratio, advantages, 0.2, delta=3.0)[0] and clipped(ratio, advantages, delta=3.0)[0]
    assert not clip_high(ratio, advantages, 0.2, delta=1.1)[1] and clipped(ratio, advantages, delta=1.1)[1]


def test_the_ends_of_the_band_are_inside():
    assert not outside_band(torch.tensor([[0.8, 1.2]]), 0.2).any()


def test_clip_flags_are_the_two_metrics_with_epsilon_high_defaulting_to_epsilon():
    ratio, advantages = torch.tensor([[0.5, 1.25, 1.5], [0.5, 1.25, 1.5]]), torch.tensor([1.0, -1.0])
    low, high = clip_flags("luspo", ratio, advantages, epsilon=0.3)
    assert low.tolist() == [[False, False, False], [True, False, False]]
    assert high.tolist() == [[False, False, True], [False, False, False]]
    _, wide = clip_flags("grpo", ratio, advantages, epsilon=0.3, epsilon_high=0.2)
    assert wide.tolist() == [[False, True, True], [False, False, False]]
    _, capped = clip_flags("grpo", ratio, advantages, epsilon=0.3, epsilon_high=0.2, delta=1.1)
    assert not capped.any()


@pytest.mark.parametrize("loss_type", [name for name in LOSS_TYPES if name not in CLIPPED_LOSS_TYPES] + ["ppo"])
def test_a_loss_type_without_a_clip_has_no_clip_flags(loss_type):
    with pytest.raises(ValueError, match=f"loss_type='{loss_type}'.*grpo, bnpo, dr_grpo, dapo"):
        clip_flags(loss_type, torch.ones(1, 1), torch.ones(1))


def test_the_cap_of_cispo_is_counted_where_it_holds_back_a_good_token():
    ratio = torch.tensor([[4.0, 5.0, 6.0], [4.0, 5.0, 6.0]])
    assert cispo_clip(ratio, torch.tensor([1.0, -1.0]), 5.0).tolist() == [[False, False, True], [False] * 3]
