import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.grpo import frac_reward_zero_std, group_advantages, group_mean_std, is_dead

NAN = float("nan")
FLOAT32 = st.floats(-1000, 1000, width=32)


def test_group_advantages_are_the_hand_computed_z_scores():
    # mean 2; squared deviations 1+1+0+0 over N-1 = 3: std = sqrt(2/3) = 0.8164966; 1 / (0.8164966 + 1e-4) = 1.2245949
    advantages = group_advantages(torch.tensor([1.0, 3.0, 2.0, 2.0], dtype=torch.float64), 4)
    torch.testing.assert_close(
        advantages, torch.tensor([-1.2245949, 1.2245949, 0, 0], dtype=torch.float64), atol=1e-7, rtol=0
    )


def test_the_conventions_of_the_std_are_the_ones_asked_for():
    rewards = torch.tensor([1.0, 3.0, 2.0, 2.0], dtype=torch.float64)  # std sqrt(2/4) by N, sqrt(2/3) by N - 1
    for ddof, divisor in ((0, 4), (1, 3)):
        for eps in (0.0, 1e-8, 1e-4, 0.5):
            advantages = group_advantages(rewards, 4, std_ddof=ddof, std_eps=eps)
            strength = 1 / ((2 / divisor) ** 0.5 + eps)
            expected = torch.tensor([-strength, strength, 0, 0], dtype=torch.float64)
            torch.testing.assert_close(advantages, expected, atol=1e-12, rtol=0)


@given(rewards=st.lists(st.integers(-9, 9), min_size=10, max_size=10), ddof=st.integers(0, 1))
def test_without_a_stabiliser_a_group_has_std_one_at_any_scale_or_all_zeros(rewards, ddof):
    rewards = torch.tensor(rewards, dtype=torch.float64) / 10  # not exact in binary
    advantages = group_advantages(rewards, 5, std_ddof=ddof, std_eps=0.0)
    scaled = group_advantages(7.3 * rewards, 5, std_ddof=ddof, std_eps=0.0)
    torch.testing.assert_close(scaled, advantages, atol=1e-9, rtol=1e-9)
    for group, dead in zip(advantages.view(2, 5), is_dead(rewards, 5), strict=True):
        spread = group.std(correction=ddof).item()
        assert spread == 0 if dead else abs(spread - 1) < 1e-9


def test_without_a_stabiliser_rounding_is_not_taken_for_a_difference():
    rewards = torch.tensor([0.1 + 0.2, 0.3, 0.3], dtype=torch.float64)
    assert rewards[0] != rewards[1]
    for scale_rewards in ("group", "batch"):
        assert not group_advantages(rewards, 3, scale_rewards=scale_rewards, std_eps=0.0).any()


def test_a_group_of_one_has_a_mean_and_no_std_and_is_not_dead():
    mean, std = group_mean_std(torch.tensor([2.0, NAN]), 1)
    torch.testing.assert_close(mean, torch.tensor([2.0, NAN]), equal_nan=True)
    assert std.isnan().all()
    assert is_dead(torch.tensor([2.0, NAN]), 1).tolist() == [False, False]


def test_batch_scale_takes_the_mean_of_the_group_and_the_std_of_the_batch():
    # group means 1 and 5; the batch [0, 2, 4, 6] has mean 3 and variance (9+1+1+9)/3 = 20/3
    advantages = group_advantages(torch.tensor([0.0, 2.0, 4.0, 6.0]), 2, scale_rewards="batch")
    expected = torch.tensor([-1.0, 1.0, -1.0, 1.0]) / ((20 / 3) ** 0.5 + 1e-4)
    torch.testing.assert_close(advantages, expected)


def test_nan_rewards_are_left_out_of_mean_and_std_and_get_zero():
    with_nan = group_advantages(torch.tensor([1.0, NAN, 3.0]), 3)
    without = group_advantages(torch.tensor([1.0, 3.0]), 2)
    assert with_nan[1] == 0
    assert torch.equal(with_nan[[0, 2]], without)


@pytest.mark.parametrize("scale_rewards", ["group", "batch", "none"])
def test_a_group_with_one_or_no_scorable_reward_gets_zeros(scale_rewards):
    rewards = torch.tensor([NAN, 5.0, NAN, NAN, 1.0, 2.0])
    assert torch.equal(group_advantages(rewards, 2, scale_rewards=scale_rewards)[:4], torch.zeros(4))


@given(reward=FLOAT32, num_generations=st.integers(2, 16), scale_rewards=st.sampled_from(["group", "batch", "none"]))
def test_equal_rewards_give_exactly_zero_in_float32(reward, num_generations, scale_rewards):
    rewards = torch.full((2 * num_generations,), reward)
    assert not group_advantages(rewards, num_generations, scale_rewards=scale_rewards).any()
    assert is_dead(rewards, num_generations).all()
    assert frac_reward_zero_std(rewards, num_generations, scale_rewards=scale_rewards) == 1


@given(rewards=st.lists(FLOAT32, min_size=6, max_size=6), shift=st.floats(-100, 100))
def test_adding_the_same_to_all_rewards_changes_nothing(rewards, shift):
    rewards = torch.tensor(rewards, dtype=torch.float64)
    for scale_rewards in ("group", "batch", "none"):
        plain = group_advantages(rewards, 3, scale_rewards=scale_rewards)
        shifted = group_advantages(rewards + shift, 3, scale_rewards=scale_rewards)
        torch.testing.assert_close(plain, shifted, atol=1e-7, rtol=1e-7)


@given(rewards=st.lists(FLOAT32, min_size=8, max_size=8))
def test_advantages_of_a_group_sum_to_zero(rewards):
    rewards = torch.tensor(rewards, dtype=torch.float64)
    for scale_rewards in ("group", "batch", "none"):
        sums = group_advantages(rewards, 4, scale_rewards=scale_rewards).view(2, 4).sum(dim=1)
        torch.testing.assert_close(sums, torch.zeros(2, dtype=torch.float64), atol=1e-9, rtol=0)


def test_the_order_of_the_groups_does_not_matter_to_group_scale():
    rewards = torch.tensor([1.0, 0.0, 0.25, 4.0])
    swapped = group_advantages(rewards.view(2, 2).flip(0).flatten(), 2).view(2, 2).flip(0).flatten()
    assert torch.equal(group_advantages(rewards, 2), swapped)


def test_mean_and_std_are_those_of_the_scorable_rewards():
    mean, std = group_mean_std(torch.tensor([1.0, 3.0, NAN, 4.0, NAN, NAN]), 3)
    torch.testing.assert_close(mean, torch.tensor([2.0, 4.0]))
    torch.testing.assert_close(std, torch.tensor([2.0**0.5, NAN]), equal_nan=True)


def test_dead_means_that_every_advantage_is_zero():
    rewards = torch.tensor([1.0, 1.0, 1.0, 0.0, NAN, 1.0, NAN, NAN])
    advantages = group_advantages(rewards, 2).view(4, 2)
    assert torch.equal(is_dead(rewards, 2), (advantages == 0).all(dim=1))


def test_zero_std_share_does_not_count_groups_without_a_std():
    assert frac_reward_zero_std(torch.tensor([1.0, 1.0, NAN, 1.0]), 2) == 0.5


@pytest.mark.parametrize(
    ("num_rewards", "num_generations", "options", "message"),
    [
        (6, 4, {}, "6 rewards.*num_generations=4"),
        (4, 1, {}, "num_generations=1.*at least 2"),
        (4, 0, {}, "num_generations=0.*at least 2"),
        (4, 2, {"scale_rewards": "std"}, "'std'.*group, batch, none"),
        (4, 2, {"std_ddof": 2}, "std_ddof=2 is neither 0.*nor 1"),
        (4, 2, {"std_eps": -1.0}, "std_eps=-1.0 is below 0"),
    ],
)
def test_bad_arguments_are_named_with_what_is_allowed(num_rewards, num_generations, options, message):
    with pytest.raises(ValueError, match=message):
        group_advantages(torch.zeros(num_rewards), num_generations, **options)


def expected_gradient(advantages_of, theta, reward_of_token, num_generations):
    """Return the expectation, over all groups of samples from softmax(theta), of the mean of A times grad log p."""
    logps = theta.log_softmax(dim=0)
    total = torch.zeros_like(theta)
    for group in itertools.product(range(len(theta)), repeat=num_generations):
        advantages = advantages_of(reward_of_token[list(group)])
        (gradient,) = torch.autograd.grad((advantages * logps[list(group)]).mean(), theta, retain_graph=True)
        total += logps[list(group)].sum().exp().detach() * gradient
    return total


def test_the_group_mean_is_an_unbiased_baseline_up_to_g_minus_1_over_g_and_the_group_std_is_not():
    theta = torch.tensor([0.3, -0.5, 1.0], dtype=torch.float64, requires_grad=True)
    rewards = torch.tensor([1.0, 0.0, 0.4], dtype=torch.float64)
    (true_gradient,) = torch.autograd.grad((theta.softmax(dim=0) * rewards).sum(), theta)

    def direction_error(scale_rewards):
        estimate = expected_gradient(
            lambda r: group_advantages(r, 3, scale_rewards=scale_rewards), theta, rewards, num_generations=3
        )
        if scale_rewards == "none":
            torch.testing.assert_close(estimate, true_gradient * 2 / 3)
        return 1 - torch.cosine_similarity(estimate, true_gradient, dim=0)

    assert direction_error("none") < 1e-12
    assert direction_error("group") > 1e-4


def test_whole_numbers_are_read_as_the_same_numbers_with_a_point():
    rewards = torch.tensor([1, 0, 0, 0, 2, 2])
    for found, expected in zip(group_mean_std(rewards, 2), group_mean_std(rewards.float(), 2), strict=True):
        assert torch.equal(found, expected)
    assert frac_reward_zero_std(rewards, 2) == frac_reward_zero_std(rewards.float(), 2)


def test_of_nothing_there_is_nothing():
    assert group_advantages(torch.zeros(0), 4, scale_rewards="batch").shape == (0,)
    assert frac_reward_zero_std(torch.zeros(0), 4, scale_rewards="batch") == 0.0
