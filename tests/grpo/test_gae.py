import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.grpo import generalised_advantages, terminal_rewards, value_loss, whiten

NAN = float("nan")


@st.composite
def critics(draw, num_rows=3, num_tokens=5):
    """Draw rewards, values and a mask with any holes; NaN where there is no token."""
    number = st.integers(-8, 8).map(lambda n: n / 4)
    table = st.lists(number, min_size=num_rows * num_tokens, max_size=num_rows * num_tokens)
    rewards, values = (torch.tensor(draw(table), dtype=torch.float64).view(num_rows, -1) for _ in range(2))
    mask = torch.tensor(draw(st.lists(st.booleans(), min_size=rewards.numel(), max_size=rewards.numel())))
    mask = mask.view(num_rows, -1)
    return torch.where(mask, rewards, NAN), torch.where(mask, values, NAN), mask


@settings(max_examples=50)
@given(critic=critics(), gamma=st.floats(0, 1), gae_lambda=st.floats(0, 1))
def test_an_advantage_is_the_discounted_sum_of_the_td_errors_from_its_token_on(critic, gamma, gae_lambda):
    rewards, values, mask = critic
    advantages, returns = generalised_advantages(rewards, values, mask, gamma=gamma, gae_lambda=gae_lambda)
    expected = torch.zeros_like(rewards)
    for row in range(len(mask)):
        tokens = mask[row].nonzero().flatten().tolist()
        v = [values[row, t].item() for t in tokens] + [0.0]
        delta = [rewards[row, t].item() + gamma * v[n + 1] - v[n] for n, t in enumerate(tokens)]
        for n, t in enumerate(tokens):
            expected[row, t] = sum((gamma * gae_lambda) ** (m - n) * delta[m] for m in range(n, len(tokens)))
    torch.testing.assert_close(advantages, expected, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(returns, torch.where(mask, expected + values, 0.0), atol=1e-12, rtol=1e-12)


@given(critic=critics(), gamma=st.floats(0, 1))
def test_lambda_one_is_the_return_minus_the_value_and_zero_the_td_error(critic, gamma):
    _, values, mask = critic
    mask = mask.sort(dim=1, descending=True).values  # tokens side by side, as in a completion
    values = values.nan_to_num(nan=0.5)
    rewards = terminal_rewards(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64), mask)
    lengths = mask.sum(dim=1, keepdim=True)
    to_go = (lengths - 1 - torch.arange(5)).to(torch.float64)
    discounted = gamma ** to_go.clamp(min=0) * rewards.sum(dim=1, keepdim=True)
    advantages, returns = generalised_advantages(rewards, values, mask, gamma=gamma, gae_lambda=1.0)
    torch.testing.assert_close(returns, torch.where(mask, discounted, 0.0))
    torch.testing.assert_close(advantages, torch.where(mask, discounted - values, 0.0))
    td_errors, _ = generalised_advantages(rewards, values, mask, gamma=gamma, gae_lambda=0.0)
    after = torch.where(mask, values, 0.0).roll(-1, dims=1)
    after[:, -1] = 0
    torch.testing.assert_close(td_errors, torch.where(mask, rewards + gamma * after - values, 0.0))


def test_advantages_and_returns_carry_no_gradient():
    values = torch.ones(1, 2, requires_grad=True)
    advantages, returns = generalised_advantages(torch.zeros(1, 2), values, torch.ones(1, 2))
    assert not advantages.requires_grad and not returns.requires_grad


def test_the_reward_is_on_the_last_token_alone():
    mask = torch.tensor([[1, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 0]])
    rewards = terminal_rewards(torch.tensor([1.0, 2.0, 3.0, NAN]), mask)
    assert rewards.tolist() == [[0, 0, 1], [2, 0, 0], [0, 0, 0], [0, 0, 0]]


@given(critic=critics(), scale=st.floats(0.5, 20))
def test_whitened_values_have_mean_zero_and_variance_one_at_any_scale(critic, scale):
    _, values, mask = critic
    whitened = whiten(values, mask)
    assert not whitened[~mask].any()
    if mask.sum() > 1 and values[mask].std() > 0:
        torch.testing.assert_close(whitened[mask].mean().item(), 0.0, atol=1e-9, rtol=0)
        torch.testing.assert_close(whitened[mask].std().item(), 1.0, atol=1e-6, rtol=0)
        torch.testing.assert_close(whiten(scale * values, mask), whitened, atol=1e-6, rtol=1e-6)
    else:
        assert not whitened.any()


@given(value=st.floats(-1000, 1000, width=32), num_tokens=st.integers(1, 7))
def test_equal_values_are_whitened_to_exactly_zero_in_float32(value, num_tokens):
    assert not whiten(torch.full((2, num_tokens), value), torch.ones(2, num_tokens)).any()


@settings(max_examples=50)
@given(critic=critics(), moves=st.lists(st.floats(-1, 1), min_size=15, max_size=15), clip=st.floats(0, 0.5))
def test_the_value_loss_is_half_the_mean_of_the_larger_squared_error(critic, moves, clip):
    returns, old_values, mask = critic
    values = old_values + torch.tensor(moves, dtype=torch.float64).view(3, 5)
    errors = []
    for v, old, goal in zip(values[mask].tolist(), old_values[mask].tolist(), returns[mask].tolist(), strict=True):
        near = min(max(v, old - clip), old + clip)
        errors.append(max((v - goal) ** 2, (near - goal) ** 2) / 2)
    expected = sum(errors) / max(len(errors), 1)
    assert value_loss(values, old_values, returns, mask, clip).item() == pytest.approx(expected, abs=1e-12)


def test_a_value_that_moved_too_far_towards_its_return_learns_nothing_and_one_that_moved_away_all():
    values = torch.tensor([[0.5, -0.5, 0.1]], requires_grad=True)  # towards by too much, away, towards by little
    value_loss(values, torch.zeros(1, 3), torch.ones(1, 3), torch.ones(1, 3), 0.2).backward()
    assert values.grad is not None
    torch.testing.assert_close(values.grad, torch.tensor([[0.0, -1.5, -0.9]]) / 3)


@given(critic=critics())
def test_micro_batches_of_the_value_loss_add_up_to_the_batch_and_padding_is_not_seen(critic):
    returns, old_values, mask = critic
    values = (old_values + 0.1).requires_grad_()
    total = mask.sum().clamp(min=1).to(torch.float64)
    parts = [
        value_loss(values[r : r + 1], old_values[r : r + 1], returns[r : r + 1], mask[r : r + 1], num_tokens_of_batch=n)
        for r, n in enumerate([total, float(total), total])
    ]
    whole = value_loss(values, old_values, returns, mask)
    torch.testing.assert_close(torch.stack(parts).sum(), whole)
    (gradient,) = torch.autograd.grad(whole, values)
    assert gradient.isfinite().all() and not gradient[~mask].any()


def test_a_clip_range_below_zero_is_refused():
    table = torch.zeros(1, 1)
    with pytest.raises(ValueError, match=r"cliprange_value=-0.1 is below 0"):
        value_loss(table, table, table, table, -0.1)
