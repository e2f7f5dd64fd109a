import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.grpo import WEIGHTS, token_weights

MASK = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
LOSSES = torch.tensor([[1.0, 2.0, 3.0, 9.0], [4.0, 9.0, 9.0, 9.0], [9.0, 9.0, 9.0, 9.0]])


@pytest.mark.parametrize(
    ("loss_type", "expected"),
    [
        ("grpo", (6 / 3 + 4 / 1 + 0) / 3),  # the fully masked row stays in the mean
        ("bnpo", (6 + 4) / 4),
        ("dapo", (6 + 4) / 4),
        ("dr_grpo", (6 + 4) / (3 * 8)),
        ("cispo", (6 + 4) / 4),
        ("sapo", (6 / 3 + 4 / 1 + 0) / 3),
        ("luspo", (6 + 4 + 0) / 3),
        ("vespo", (6 + 4) / 4),
        ("online", (6 / 3 + 4 / 1 + 0) / 3),
    ],
)
def test_the_weighted_sum_is_the_loss_computed_by_hand(loss_type, expected):
    weights = token_weights(loss_type, MASK, max_completion_length=8)
    torch.testing.assert_close((weights * LOSSES).sum().item(), expected)


@pytest.mark.parametrize("loss_type", sorted(WEIGHTS))
def test_nothing_to_weigh_gives_zeros_and_no_nan(loss_type):
    assert not token_weights(loss_type, torch.zeros(2, 3), max_completion_length=3).any()


@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5))
def test_weights_of_a_mean_sum_to_one(lengths):
    mask = torch.arange(6) < torch.tensor(lengths)[:, None]
    for loss_type in ("grpo", "bnpo", "dapo"):
        torch.testing.assert_close(token_weights(loss_type, mask).sum(), torch.tensor(1.0))


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float16, torch.float32])
@pytest.mark.parametrize("loss_type", sorted(WEIGHTS))
def test_the_dtype_of_the_mask_does_not_matter(loss_type, dtype):
    expected = token_weights(loss_type, MASK.float(), 8)
    assert torch.equal(token_weights(loss_type, MASK.to(dtype), 8), expected)


def test_only_a_mean_over_each_completion_gives_tokens_of_short_ones_more_weight():
    rows = {loss_type: token_weights(loss_type, MASK, 8)[:2, 0] for loss_type in WEIGHTS}
    favoured = {"grpo", "sapo", "online"}
    assert all(rows[loss_type][1] == 3 * rows[loss_type][0] for loss_type in favoured)
    assert all(rows[loss_type][0] == rows[loss_type][1] for loss_type in WEIGHTS.keys() - favoured)


def test_an_unknown_loss_type_is_refused_by_name():
    with pytest.raises(ValueError, match=r"'ppo'.*grpo, bnpo, dr_grpo, dapo"):
        token_weights("ppo", MASK)


def test_dr_grpo_without_a_length_is_refused():
    with pytest.raises(ValueError, match="max_completion_length"):
        token_weights("dr_grpo", MASK)
