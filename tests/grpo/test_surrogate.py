import pytest
import torch

from workbench.grpo import clipped_surrogate, importance_ratio

ONES = torch.ones(1, 3)


def test_the_ratio_is_exactly_one_on_policy():
    logps = torch.tensor([[-0.1, -3.7, -12.25]])
    for level in ("token", "sequence"):
        assert torch.equal(importance_ratio(logps, logps.clone(), ONES, level), ONES)


def test_the_sequence_ratio_is_the_geometric_mean_over_the_unmasked_tokens():
    logps = torch.tensor([[8.0, 2.0, 5.0]], dtype=torch.float64).log()
    ratio = importance_ratio(logps, torch.zeros_like(logps), torch.tensor([[1, 1, 0]]), "sequence")
    torch.testing.assert_close(ratio, torch.tensor([[4.0, 4.0, 1.0]], dtype=torch.float64))


def test_a_fully_masked_row_has_ratio_one_at_both_levels():
    for level in ("token", "sequence"):
        assert torch.equal(importance_ratio(ONES * torch.nan, ONES, torch.zeros(1, 3), level), ONES)


def test_the_surrogate_is_the_hand_computed_minimum():
    ratio = torch.tensor([[0.5, 1.0, 2.0]])
    low_high = {"epsilon": 0.2, "epsilon_high": 0.28}
    up = clipped_surrogate(ratio, torch.tensor([2.0]), **low_high)
    down = clipped_surrogate(ratio, torch.tensor([-2.0]), **low_high)
    torch.testing.assert_close(up, torch.tensor([[1.0, 2.0, 2.56]]))
    torch.testing.assert_close(down, torch.tensor([[-1.6, -2.0, -4.0]]))


def test_delta_above_the_band_bounds_the_negative_side_only():
    ratio = torch.tensor([[1.0, 2.0, 9.0]])
    for advantage in (1.0, -1.0):
        plain = clipped_surrogate(ratio, torch.tensor([advantage]))
        with_delta = clipped_surrogate(ratio, torch.tensor([advantage]), delta=4.0)
        assert torch.equal(plain, with_delta) == (advantage > 0)
    torch.testing.assert_close(with_delta, torch.tensor([[-1.0, -2.0, -4.0]]))


def test_delta_below_the_band_caps_the_positive_side_at_delta_and_the_negative_at_the_band():
    ratio = torch.tensor([[1.0, 1.15, 9.0]])
    up = clipped_surrogate(ratio, torch.tensor([1.0]), delta=1.1)
    down = clipped_surrogate(ratio, torch.tensor([-1.0]), delta=1.1)
    torch.testing.assert_close(up, torch.tensor([[1.0, 1.1, 1.1]]))
    torch.testing.assert_close(down, torch.tensor([[-1.0, -1.15, -1.2]]))


def test_advantages_per_row_and_per_token_agree():
    ratio = torch.tensor([[0.5, 1.5], [0.5, 1.5]])
    advantages = torch.tensor([1.0, -1.0])
    per_token = advantages[:, None].expand(2, 2)
    assert torch.equal(clipped_surrogate(ratio, advantages), clipped_surrogate(ratio, per_token))


def test_an_unknown_level_is_refused_by_name():
    with pytest.raises(ValueError, match=r"'word'.*token, sequence"):
        importance_ratio(ONES, ONES, ONES, "word")
