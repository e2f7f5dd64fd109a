import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.grpo import KL_ESTIMATORS, KL_NAMES, KL_SLOPES, exact_kl, grpo_loss, kl_k3

THETA = torch.tensor([0.3, -0.5, 1.0, 0.1], dtype=torch.float64)
INF = float("inf")
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


def test_the_exact_kl_is_the_one_that_is_estimated_and_pulls_along_the_reverse_kl():
    theta = THETA.clone().requires_grad_()
    exact = exact_kl(theta, REF_LOGPS)
    torch.testing.assert_close(exact.detach(), kl(THETA.log_softmax(dim=0), REF_LOGPS))
    torch.testing.assert_close(torch.autograd.grad(exact, theta)[0], REVERSE_KL_GRADIENT)


@pytest.mark.parametrize("bias_corrected", [False, True])
@pytest.mark.parametrize("estimator", sorted(KL_ESTIMATORS))
def test_the_loss_pulls_on_average_where_the_estimator_says(estimator, bias_corrected):
    """Enumerate the tokens: the loss of each, with A = 0 and beta = 1, weighed by its probability."""
    logps = THETA.log_softmax(dim=0)
    options = {"kl_estimator": estimator, "use_bias_correction_kl": bias_corrected, "beta": 1.0}
    total = torch.zeros_like(THETA)
    for token in range(len(THETA)):
        theta = THETA.clone().requires_grad_()
        logp = theta.log_softmax(dim=0)[token].view(1, 1)
        mask = torch.ones(1, 1, dtype=torch.float64)
        ref_logp = REF_LOGPS[token].view(1, 1)
        grpo_loss(logp, logp.detach(), ref_logp, torch.zeros(1, dtype=torch.float64), mask, **options).loss.backward()
        total += logps[token].exp() * theta.grad
    expected = {"k1": torch.zeros_like(THETA), "k2": REVERSE_KL_GRADIENT, "k3": FORWARD_KL_GRADIENT}[estimator]
    if bias_corrected:
        expected = REVERSE_KL_GRADIENT if estimator != "k2" else loss_gradient("k2", bias_corrected=True)
    torch.testing.assert_close(total, expected, atol=1e-14, rtol=1e-10)


def test_the_exact_kl_in_the_loss_pulls_along_the_reverse_kl():
    theta = THETA.clone().requires_grad_()
    one, nothing = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    exact = exact_kl(theta, REF_LOGPS).view(1, 1)
    grpo_loss(one, one, None, nothing, one, beta=1.0, kl_estimator="exact", exact_kl=exact).loss.backward()
    torch.testing.assert_close(theta.grad, REVERSE_KL_GRADIENT)


def test_the_exact_kl_divides_both_logits_by_the_temperature():
    ref = torch.tensor([0.9, 0.4, -0.7, 0.0], dtype=torch.float64)
    torch.testing.assert_close(exact_kl(3 * THETA, 3 * ref, temperature=3.0), exact_kl(THETA, ref))
    with pytest.raises(ValueError, match=r"temperature=0.0 is not above 0"):
        exact_kl(THETA, ref, temperature=0.0)


def test_forbidden_tokens_add_nothing_to_the_exact_kl_nor_to_its_gradient():
    logits = torch.tensor([0.3, -INF, 1.0, -INF], dtype=torch.float64, requires_grad=True)
    ref_logits = torch.tensor([0.9, 0.4, -0.7, -INF], dtype=torch.float64, requires_grad=True)
    exact = exact_kl(logits, ref_logits)
    exact.backward()
    two = torch.tensor([0.3, 1.0], dtype=torch.float64, requires_grad=True)
    of_two = kl(two.log_softmax(dim=0), ref_logits.detach().log_softmax(dim=0)[[0, 2]])
    of_two.backward()
    torch.testing.assert_close(exact, of_two)
    torch.testing.assert_close(logits.grad[[0, 2]], two.grad)
    assert not logits.grad[[1, 3]].any()
    assert ref_logits.grad is None


def test_a_token_that_only_the_reference_forbids_makes_the_exact_kl_infinite():
    assert exact_kl(torch.zeros(2), torch.tensor([0.0, -INF])) == INF


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_logits_have_their_exact_kl_in_float32(dtype):
    logits, ref_logits = (3 * torch.randn(2, 5, 40, generator=torch.Generator().manual_seed(0))).to(dtype)
    exact = exact_kl(logits, ref_logits)
    assert exact.dtype == torch.float32
    torch.testing.assert_close(exact.double(), exact_kl(logits.double(), ref_logits.double()), atol=1e-5, rtol=1e-5)


def test_equal_logits_have_an_exact_kl_of_exactly_zero():
    logits = 5 * torch.randn(7, 30, generator=torch.Generator().manual_seed(0))
    assert not exact_kl(logits, logits.clone()).any()


def test_the_names_are_the_estimators_and_the_exact_one():
    assert KL_NAMES == ("k1", "k2", "k3", "exact")
