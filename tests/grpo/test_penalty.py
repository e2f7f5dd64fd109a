import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.grpo import grpo_loss, kl_penalty, token_kl


@pytest.mark.parametrize("kl_estimator", ["k1", "k2", "k3"])
@given(data=st.data())
def test_the_penalty_is_the_sum_of_the_kl_that_the_loss_shows(batches, data, kl_estimator):
    batch = data.draw(batches(max_log_ratio=5.0))
    terms = grpo_loss(
        batch.logps, batch.logps, batch.ref_logps, batch.advantages, batch.mask, kl_estimator=kl_estimator
    )
    assert torch.equal(token_kl(batch.logps, batch.ref_logps, batch.mask, kl_estimator), terms.kl)
    penalty = kl_penalty(batch.logps, batch.ref_logps, batch.mask, kl_estimator)
    torch.testing.assert_close(penalty, terms.kl.sum(dim=1))


def test_k1_of_a_completion_is_the_log_ratio_of_the_whole():
    logps, ref_logps = torch.tensor([[0.5, 0.25]]).log(), torch.tensor([[0.25, 0.5]]).log()
    assert kl_penalty(logps, ref_logps, torch.ones(1, 2)).item() == 0  # the two are as likely as a whole
    assert kl_penalty(logps, ref_logps, torch.ones(1, 2), "k2").item() > 0


def test_the_exact_kl_is_taken_as_given_and_has_to_be():
    logps, mask = torch.zeros(1, 2), torch.tensor([[1, 0]])
    exact_kl = torch.tensor([[0.25, float("nan")]])
    assert token_kl(logps, logps, mask, "exact", exact_kl).tolist() == [[0.25, 0.0]]
    assert kl_penalty(logps, logps, mask, kl_estimator="exact", exact_kl=exact_kl).tolist() == [0.25]
    with pytest.raises(ValueError, match="exact_kl is None"):
        kl_penalty(logps, logps, mask, "exact")
    with pytest.raises(ValueError, match="kl_estimator='k4' is none of"):
        kl_penalty(logps, logps, mask, "k4")


def test_a_penalty_carries_no_gradient_and_does_not_see_padding():
    logps = torch.tensor([[-1.0, float("nan")]], requires_grad=True)
    for kl_estimator in ("k1", "k2", "k3"):
        penalty = kl_penalty(logps, logps.detach() - 1, torch.tensor([[1, 0]]), kl_estimator)
        assert not penalty.requires_grad and penalty.isfinite().all()
