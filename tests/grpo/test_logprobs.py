import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.grpo import logps_and_entropy, token_entropy, token_logps

INF = float("inf")


def random_logits(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 3


@given(seed=st.integers(0, 1000), temperature=st.floats(0.2, 5.0))
def test_logps_are_the_log_softmax_of_the_tempered_logits_at_the_token(seed, temperature):
    logits = random_logits(seed, 2, 3, 5)
    ids = torch.arange(6).view(2, 3) % 5
    expected = (logits.double() / temperature).log_softmax(dim=-1).gather(-1, ids[..., None])[..., 0]
    torch.testing.assert_close(token_logps(logits, ids, temperature).double(), expected, atol=1e-5, rtol=1e-6)


@given(seed=st.integers(0, 1000), temperature=st.floats(0.2, 5.0))
def test_the_shared_function_returns_what_the_two_others_return(seed, temperature):
    logits, ids = random_logits(seed, 2, 3, 5), torch.arange(6).view(2, 3) % 5
    logps, entropy = logps_and_entropy(logits, ids, temperature)
    assert torch.equal(logps, token_logps(logits, ids, temperature))
    torch.testing.assert_close(entropy, token_entropy(logits, temperature), atol=1e-6, rtol=1e-5)


def test_the_gradient_of_a_logp_is_one_hot_minus_softmax_over_temperature():
    logits = random_logits(0, 1, 4).requires_grad_()
    logps, entropy = logps_and_entropy(logits, torch.tensor([2]), temperature=2.0)
    logps.sum().backward()
    expected = (torch.eye(4)[[2]] - (logits / 2).softmax(dim=-1)) / 2
    torch.testing.assert_close(logits.grad, expected)
    assert not entropy.requires_grad


def test_entropy_of_the_uniform_is_log_v_and_of_a_certainty_zero():
    torch.testing.assert_close(token_entropy(torch.zeros(8)), torch.tensor(8.0).log())
    assert token_entropy(torch.tensor([0.0, -INF, -INF])) == 0


def test_the_gradient_of_the_entropy_is_minus_p_times_log_p_plus_h_and_finite_where_a_token_is_forbidden():
    logits = torch.tensor([0.5, -INF, 2.0, -1.0], dtype=torch.float64, requires_grad=True)
    entropy = token_entropy(logits, temperature=2.0)
    entropy.backward()
    p = (logits.detach() / 2).softmax(dim=-1)
    log_p = p.log().nan_to_num(neginf=0.0)
    torch.testing.assert_close(logits.grad, -p * (log_p + entropy.detach()) / 2)


def test_a_forbidden_token_has_logp_minus_infinity_and_leaves_value_and_gradient_finite_elsewhere():
    logits = torch.tensor([[1.0, -INF, 2.0], [1.0, -INF, 2.0]], requires_grad=True)
    logps, entropy = logps_and_entropy(logits, torch.tensor([0, 1]))
    logps[0].backward()
    assert logps[1] == -INF
    torch.testing.assert_close(logps[0], torch.tensor([1.0, 2.0]).log_softmax(dim=0)[0])
    torch.testing.assert_close(entropy, token_entropy(torch.tensor([[1.0, 2.0]])).expand(2))
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize(
    ("given_dtype", "returned"),
    [(torch.float16, torch.float32), (torch.bfloat16, torch.float32), (torch.float64, torch.float64)],
)
def test_half_logits_are_scored_in_float32_and_float64_stays(given_dtype, returned):
    logits = random_logits(1, 4, 6).to(given_dtype)
    logps, entropy = logps_and_entropy(logits, torch.zeros(4, dtype=torch.long))
    assert (logps.dtype, entropy.dtype) == (returned, returned)
    torch.testing.assert_close(logps.double(), logits.double().log_softmax(dim=-1)[:, 0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_that_is_not_above_zero_is_refused(temperature):
    with pytest.raises(ValueError, match=r"temperature=.*above 0"):
        token_logps(torch.zeros(1, 2), torch.zeros(1, dtype=torch.long), temperature)
