import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.grpo import dpo_loss, is_dead, preference_pairs

NAN = float("nan")


@st.composite
def pairs_of(draw, num_rows):
    """Draw pairs of rows: any number, none too, a row in several."""
    row = st.integers(0, num_rows - 1)
    pairs = draw(st.lists(st.tuples(row, row), max_size=5))
    return torch.tensor(pairs, dtype=torch.long).view(-1, 2)


@given(
    rewards=st.lists(st.sampled_from([0.0, 1.0, 0.5, -1.0, NAN]), min_size=8, max_size=8),
    num_generations=st.sampled_from([2, 4]),
)
def test_each_group_with_different_rewards_gives_its_best_and_its_worst(rewards, num_generations):
    expected = []
    for first in range(0, 8, num_generations):
        rows = [r for r in range(first, first + num_generations) if not math.isnan(rewards[r])]
        if len({rewards[r] for r in rows}) > 1:
            expected.append([max(rows, key=lambda r: rewards[r]), min(rows, key=lambda r: rewards[r])])
    pairs = preference_pairs(torch.tensor(rewards), num_generations)
    assert pairs.tolist() == expected
    assert len(pairs) == (~is_dead(torch.tensor(rewards), num_generations)).sum()


def test_a_group_of_one_makes_no_pair():
    with pytest.raises(ValueError, match="num_generations=1"):
        preference_pairs(torch.zeros(2), 1)


@given(data=st.data(), beta=st.floats(0.01, 2.0))
def test_loss_margins_and_coefficients_are_those_of_the_formula_and_of_autograd(batches, data, beta):
    batch = data.draw(batches(max_log_ratio=5.0))
    pairs = data.draw(pairs_of(len(batch.mask)))
    logps = batch.logps.clone().requires_grad_()
    terms = dpo_loss(logps, batch.ref_logps, batch.mask, pairs, beta)
    ratio = [sum((p - q)[m].tolist()) for p, q, m in zip(batch.logps, batch.ref_logps, batch.mask, strict=True)]
    margins = [beta * (ratio[better] - ratio[worse]) for better, worse in pairs.tolist()]
    torch.testing.assert_close(terms.margins, torch.tensor(margins, dtype=torch.float64), atol=1e-9, rtol=1e-9)
    expected = sum(math.log1p(math.exp(-m)) for m in margins) / max(len(margins), 1)
    assert terms.loss.item() == pytest.approx(expected, abs=1e-9)
    terms.loss.backward()
    assert logps.grad is not None
    torch.testing.assert_close(terms.coefficients, -logps.grad, atol=1e-12, rtol=1e-9)
    assert not terms.coefficients.requires_grad and not terms.margins.requires_grad


def test_a_pair_that_the_policy_already_tells_apart_is_pushed_less():
    logps = torch.tensor([[0.0], [0.0], [3.0], [0.0]])
    terms = dpo_loss(logps, torch.zeros(4, 1), torch.ones(4, 1), torch.tensor([[0, 1], [2, 3]]), beta=1.0)
    push = terms.coefficients.flatten()
    torch.testing.assert_close(push, torch.tensor([0.25, -0.25, 0.0237, -0.0237]), atol=1e-4, rtol=0)


@given(data=st.data())
def test_micro_batches_of_pairs_add_up_to_the_batch(batches, data):
    batch = data.draw(batches(max_log_ratio=5.0))
    pairs = data.draw(pairs_of(len(batch.mask)))
    whole = dpo_loss(batch.logps, batch.ref_logps, batch.mask, pairs, 0.1)
    parts = [
        dpo_loss(batch.logps, batch.ref_logps, batch.mask, part, 0.1, num_pairs_of_batch=len(pairs))
        for part in pairs.split(2)
    ]
    zeros = torch.zeros_like(batch.logps)
    torch.testing.assert_close(sum((part.loss for part in parts), torch.zeros((), dtype=torch.float64)), whole.loss)
    torch.testing.assert_close(sum((part.coefficients for part in parts), zeros), whole.coefficients)


def test_without_a_pair_the_loss_is_zero_and_still_has_a_gradient():
    logps = torch.zeros(2, 1, requires_grad=True)
    terms = dpo_loss(logps, torch.zeros(2, 1), torch.ones(2, 1), torch.zeros(0, 2, dtype=torch.long), 0.1)
    terms.loss.backward()
    assert terms.loss == 0 and logps.grad is not None and not logps.grad.any()


def test_garbage_on_padding_reaches_neither_loss_nor_gradient():
    logps = torch.tensor([[-1.0, NAN], [-2.0, math.inf]], requires_grad=True)
    mask, pairs = torch.tensor([[1, 0], [1, 0]]), torch.tensor([[0, 1]])
    terms = dpo_loss(logps, logps.detach() - 1, mask, pairs, 0.1)
    terms.loss.backward()
    assert logps.grad is not None
    for values in (terms.loss, terms.coefficients, logps.grad):
        assert values.isfinite().all()


@pytest.mark.parametrize("beta", [0.0, -1.0, NAN])
def test_a_beta_that_tells_nothing_apart_is_refused(beta):
    with pytest.raises(ValueError, match=f"beta={beta} is not above 0"):
        dpo_loss(torch.zeros(2, 1), torch.zeros(2, 1), torch.ones(2, 1), torch.tensor([[0, 1]]), beta)
