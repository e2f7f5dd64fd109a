import math
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.grpo.ranking import bradley_terry_loss, correlation, pair_accuracy, ranked_pairs

NAN = float("nan")
SCORES = st.floats(-30.0, 30.0, width=32)


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, NAN]), min_size=1, max_size=12), st.integers(1, 4))
def test_the_pairs_are_all_of_a_groups_in_which_one_reward_is_higher(rewards, num_generations):
    rewards = rewards[: len(rewards) // num_generations * num_generations]
    found = [tuple(pair) for pair in ranked_pairs(torch.tensor(rewards), num_generations).tolist()]
    expected = [
        (i, j)
        for i, j in product(range(len(rewards)), repeat=2)
        if i // num_generations == j // num_generations and rewards[i] > rewards[j]
    ]
    assert found == expected


@given(SCORES, SCORES)
def test_the_loss_is_the_negative_log_of_the_chance_that_the_better_one_wins(chosen, rejected):
    d = float(np.float32(chosen) - np.float32(rejected))
    expected = math.log1p(math.exp(-d)) if d > -30 else -d + math.log1p(math.exp(d))
    loss = bradley_terry_loss(torch.tensor([chosen]), torch.tensor([rejected]))
    assert loss.item() == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_the_gradient_pulls_the_scores_apart_by_how_wrong_they_are():
    chosen = torch.tensor([-2.0, 0.0, 2.0], dtype=torch.float64, requires_grad=True)
    rejected = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    bradley_terry_loss(chosen, rejected).sum().backward()
    assert chosen.grad is not None and rejected.grad is not None
    expected = -1 / (1 + chosen.detach().exp())
    torch.testing.assert_close(chosen.grad, expected)
    torch.testing.assert_close(rejected.grad, -expected)


def test_the_loss_is_finite_and_has_a_gradient_where_the_model_is_certain_and_wrong():
    chosen = torch.tensor([-1e4], requires_grad=True)
    loss = bradley_terry_loss(chosen, torch.tensor([1e4]))
    loss.sum().backward()
    assert loss.item() == 2e4 and chosen.grad is not None and chosen.grad.item() == -1.0


@given(st.lists(st.tuples(SCORES, SCORES), min_size=1, max_size=9))
def test_turning_every_pair_round_turns_the_accuracy_round(pairs):
    chosen, rejected = torch.tensor(pairs).T
    assert pair_accuracy(chosen, rejected) + pair_accuracy(rejected, chosen) == pytest.approx(1.0)


def test_without_a_pair_there_is_no_accuracy():
    assert pair_accuracy(torch.zeros(0), torch.zeros(0)).isnan()


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=2, max_size=9))
def test_the_correlation_is_numpys(pairs):
    first, second = np.array(pairs, dtype=np.float64).T
    found = correlation(torch.from_numpy(first), torch.from_numpy(second)).item()
    if first.std() == 0 or second.std() == 0:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(np.corrcoef(first, second)[0, 1], abs=1e-9)


def test_what_is_constant_has_no_correlation_however_it_rounds():
    for dtype in (torch.float32, torch.float64):
        for length in range(2, 9):
            constant = torch.full((length,), 0.1, dtype=dtype)
            assert correlation(constant, torch.arange(length, dtype=dtype) ** 2).isnan()


def test_what_nothing_could_score_does_not_enter_the_correlation():
    learned = torch.tensor([1.0, 5.0, 2.0, 3.0])
    assert correlation(learned, torch.tensor([2.0, NAN, 4.0, 9.0])).item() == pytest.approx(0.97072534)
