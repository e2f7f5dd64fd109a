import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.grpo import KL_ESTIMATORS, KL_SLOPES, kl_k3

THETA = torch.tensor([0.3, -0.5, 1.0, 0.1], dtype=torch.float64)
REF_LOGPS = torch.tensor([0.9, 0.4, -0.7, 0.0], dtype=torch.float64).log_softmax(dim=0)


def kl(p_logps, q_logps):
    """Return KL(p || q) by its definition."""
    return (p_logps.exp() * (p_logps - q_logps)).sum()


def gradient(function):
    """Return the gradient at THETA of a function of the log-probabilities of softmax(theta)."""
    theta = THETA.clone().requires_grad_()
    return torch.autograd.grad(function(theta.log_softmax(dim=0)), theta)[0]


def loss_gradient(estimator, bias_corrected=False):
    """Return the expectation, over tokens drawn from the policy, of the gradient of the estimate as a loss."""

    def expected_loss(logps):
        ratio = (logps - logps.detach()).exp() if bias_corrected else 1.0
        return (logps.exp().detach() * ratio * KL_ESTIMATORS[estimator](logps, REF_LOGPS)).sum()

    return gradient(expected_loss)


REVERSE_KL_GRADIENT = gradient(lambda logps: kl(logps, REF_LOGPS))
FORWARD_KL_GRADIENT = gradient(lambda logps: kl(REF_LOGPS, logps))


@pytest.mark.parametrize(("estimator", "unbiased"), [("k1", True), ("k2", False), ("k3", True)])
def test_k1_and_k3_average_to_the_kl_and_k2_does_not(estimator, unbiased):
    logps = THETA.log_softmax(dim=0)
    mean = (logps.exp() * KL_ESTIMATORS[estimator](logps, REF_LOGPS)).sum()
    assert torch.isclose(mean, kl(logps, REF_LOGPS), rtol=1e-12) == unbiased


def test_as_a_loss_k1_pulls_nowhere():
    torch.testing.assert_close(loss_gradient("k1"), torch.zeros_like(THETA), atol=1e-14, rtol=0)


def test_as_a_loss_k2_pulls_along_the_reverse_kl():
    torch.testing.assert_close(loss_gradient("k2"), REVERSE_KL_GRADIENT)


def test_as_a_loss_k3_pulls_along_the_forward_kl():
    torch.testing.assert_close(loss_gradient("k3"), FORWARD_KL_GRADIENT)
    assert not torch.allclose(FORWARD_KL_GRADIENT, REVERSE_KL_GRADIENT, rtol=0.1)


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_times_the_ratio_k1_and_k3_pull_along_the_reverse_kl(estimator):
    torch.testing.assert_close(loss_gradient(estimator, bias_corrected=True), REVERSE_KL_GRADIENT)


@given(logp=st.floats(-40, 0, width=32), ref_logp=st.floats(-40, 0, width=32))
def test_k2_and_k3_are_never_negative_in_float32(logp, ref_logp):
    logps, ref_logps = torch.tensor([logp]), torch.tensor([ref_logp])
    assert KL_ESTIMATORS["k3"](logps, ref_logps) >= 0
    assert KL_ESTIMATORS["k2"](logps, ref_logps) >= 0


def test_the_textbook_form_of_k3_goes_negative_in_float32_where_ours_does_not():
    d = torch.linspace(-1e-3, 1e-3, 1001)
    assert (d.exp() - d - 1).min() < 0
    assert kl_k3(torch.zeros_like(d), d).min() >= 0


@pytest.mark.parametrize("estimator", sorted(KL_ESTIMATORS))
@given(logp=st.floats(-10, 0), ref_logp=st.floats(-10, 0))
def test_the_slope_is_the_derivative_and_zero_is_the_value_at_the_reference(estimator, logp, ref_logp):
    logps = torch.tensor([logp], dtype=torch.float64, requires_grad=True)
    ref_logps = torch.tensor([ref_logp], dtype=torch.float64)
    KL_ESTIMATORS[estimator](logps, ref_logps).backward()
    torch.testing.assert_close(KL_SLOPES[estimator](logps.detach(), ref_logps), logps.grad)
    assert KL_ESTIMATORS[estimator](ref_logps, ref_logps) == 0


def test_every_estimator_has_a_slope():
    assert KL_ESTIMATORS.keys() == KL_SLOPES.keys()
