import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.grpo import likelihood_loss, token_weights


@pytest.mark.parametrize("loss_type", ["grpo", "bnpo", "dapo"])
@given(data=st.data())
def test_only_kept_completions_count_and_the_coefficients_are_those_of_autograd(batches, data, loss_type):
    batch = data.draw(batches())
    kept = torch.tensor(data.draw(st.lists(st.booleans(), min_size=len(batch.mask), max_size=len(batch.mask))))
    weights = token_weights(loss_type, batch.mask).to(torch.float64)
    logps = batch.logps.clone().requires_grad_()
    terms = likelihood_loss(logps, kept, batch.mask, weights)
    counts = batch.mask & kept[:, None]
    expected = -math.fsum((weights * batch.logps)[counts].tolist())
    assert terms.loss.item() == pytest.approx(expected, abs=1e-12)
    terms.loss.backward()
    assert logps.grad is not None
    assert torch.equal(terms.coefficients, -logps.grad)
    assert torch.equal(terms.coefficients, torch.where(counts, weights, 0.0))


@given(data=st.data())
def test_micro_batches_with_the_weights_of_the_batch_add_up_to_it(batches, data):
    batch = data.draw(batches())
    weights = token_weights("dapo", batch.mask).to(torch.float64)
    kept = torch.arange(len(batch.mask)) % 2 == 0
    rows = [slice(r, r + 1) for r in range(len(batch.mask))]
    parts = [likelihood_loss(batch.logps[r], kept[r], batch.mask[r], weights[r]).loss for r in rows]
    torch.testing.assert_close(torch.stack(parts).sum(), likelihood_loss(batch.logps, kept, batch.mask, weights).loss)


def test_a_demonstration_is_learned_by_its_mean_negative_log_likelihood():
    logps = torch.tensor([[0.5, 0.25]]).log()
    mask = torch.ones(1, 2)
    terms = likelihood_loss(logps, torch.tensor([True]), mask, token_weights("grpo", mask))
    assert terms.loss.item() == pytest.approx(1.5 * math.log(2))


def test_garbage_on_padding_and_in_dropped_rows_has_no_gradient():
    logps = torch.tensor([[-1.0, float("nan")], [-2.0, -1.0]], requires_grad=True)
    weights = torch.tensor([[0.5, float("nan")], [0.5, 0.5]])
    terms = likelihood_loss(logps, torch.tensor([True, False]), torch.tensor([[1, 0], [1, 1]]), weights)
    terms.loss.backward()
    assert logps.grad is not None
    assert terms.loss == 0.5 and logps.grad.tolist() == [[-0.5, 0.0], [0.0, 0.0]]
