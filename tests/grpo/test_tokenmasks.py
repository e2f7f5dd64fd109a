import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.grpo import high_entropy_mask, on_policy_mask

NAN, INF = float("nan"), float("inf")


@given(
    entropies=st.lists(st.floats(0, 10, width=32), min_size=6, max_size=6, unique=True),
    lengths=st.lists(st.integers(0, 3), min_size=2, max_size=2),
    share=st.floats(0.0, 1.0),
)
def test_the_chosen_tokens_are_the_top_share_of_all_tokens(entropies, lengths, share):
    entropies = torch.tensor(entropies).view(2, 3)
    mask = torch.arange(3) < torch.tensor(lengths)[:, None]
    chosen = high_entropy_mask(entropies, mask, share)
    assert not (chosen & ~mask).any()
    left_out, taken = entropies[mask & ~chosen], entropies[chosen]
    assert len(taken) == 0 or len(left_out) == 0 or left_out.max() < taken.min()
    # n tokens have n - 1 steps between them; the top share of these steps is in
    assert abs((int(chosen.sum()) - 1) - share * (int(mask.sum()) - 1)) < 1 + 1e-5 or not mask.any()


def test_at_share_zero_the_token_of_highest_entropy_is_in_and_at_one_every_token():
    entropies = torch.tensor([[1.0, 3.0, 2.0]])
    assert high_entropy_mask(entropies, torch.ones(1, 3), 0.0).tolist() == [[False, True, False]]
    assert high_entropy_mask(entropies, torch.ones(1, 3), 1.0).all()


def test_tokens_of_equal_entropy_are_in_or_out_together():
    assert high_entropy_mask(torch.full((2, 3), 0.7), torch.ones(2, 3), 0.1).all()


def test_garbage_on_padding_sets_no_threshold():
    mask = torch.tensor([[1, 1, 1, 0]])
    for garbage in (NAN, INF, -INF, 1e30):
        chosen = high_entropy_mask(torch.tensor([[1.0, 2.0, 3.0, garbage]]), mask, 0.5)
        assert chosen.tolist() == [[False, True, True, False]]


def test_a_batch_without_tokens_has_none_chosen():
    assert not high_entropy_mask(torch.full((2, 2), NAN), torch.zeros(2, 2), 0.5).any()


@pytest.mark.parametrize("share", [-0.1, 1.1, NAN])
def test_a_share_outside_0_to_1_is_refused(share):
    with pytest.raises(ValueError, match=r"top_entropy_quantile=.* is outside \[0, 1\]"):
        high_entropy_mask(torch.ones(1, 1), torch.ones(1, 1), share)


def test_only_bad_completions_that_became_less_likely_by_more_than_the_threshold_are_dropped():
    # mean of old - new over the two tokens of each row: 1, 1, -1, 0.5
    old_logps = torch.zeros(4, 3)
    logps = torch.tensor([[-2.0, 0.0, 9.0], [-2.0, 0.0, 9.0], [2.0, 0.0, 9.0], [-1.0, 0.0, 9.0]])
    mask = torch.tensor([[1, 1, 0]] * 4)
    kept = on_policy_mask(logps, old_logps, torch.tensor([1.0, -1.0, -1.0, -1.0]), mask, 0.5)
    assert kept.tolist() == [[True, True, False], [False] * 3, [True, True, False], [True, True, False]]


def test_a_completion_of_no_advantage_is_not_a_bad_one():
    logps, old_logps = torch.tensor([[-9.0]]), torch.zeros(1, 1)
    assert on_policy_mask(logps, old_logps, torch.tensor([0.0]), torch.ones(1, 1), 0.5).all()


def test_with_advantages_of_tokens_each_is_judged_by_its_own_and_by_the_drift_of_its_completion():
    logps, old_logps, mask = torch.tensor([[-2.0, 0.0]]), torch.zeros(1, 2), torch.ones(1, 2)
    for threshold, kept in [(0.9, [[True, False]]), (1.0, [[True, True]])]:
        assert on_policy_mask(logps, old_logps, torch.tensor([[1.0, -1.0]]), mask, threshold).tolist() == kept


def test_a_token_that_was_never_scored_counts_as_unmoved():
    logps, old_logps = torch.tensor([[-2.0, -2.0]]), torch.tensor([[NAN, -1.0]])
    assert on_policy_mask(logps, old_logps, torch.tensor([-1.0]), torch.ones(1, 2), 0.6).all()
    assert not on_policy_mask(logps, old_logps, torch.tensor([-1.0]), torch.ones(1, 2), 0.4).any()
