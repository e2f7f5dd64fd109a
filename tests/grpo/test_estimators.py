import itertools
from statistics import fmean

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.grpo import (
    ADVANTAGE_ESTIMATORS,
    estimate_advantages,
    gdpo_advantages,
    group_advantages,
    kl_penalty,
    pass_at_k_advantages,
    rank_advantages,
    reinforce_plus_plus_advantages,
    rloo_advantages,
)

NAN = float("nan")
ONE = torch.ones(1, dtype=torch.float64)
QUARTERS = st.integers(-20, 20).map(lambda n: n / 4)
BY_NAME = pytest.mark.parametrize("name", ADVANTAGE_ESTIMATORS)
laws = settings(max_examples=30)


def column(draw, size):
    return torch.tensor(draw(st.lists(QUARTERS, min_size=size, max_size=size)), dtype=torch.float64)[:, None]


def estimate(name, rewards_BF, num_generations, **options):
    """Return the advantages at the bare formula: no stabiliser, k = 2."""
    weights = torch.ones(rewards_BF.shape[1], dtype=torch.float64)
    options = {"std_eps": 0.0, "pass_k": 2} | options
    return estimate_advantages(rewards_BF, weights, num_generations, advantage_estimator=name, **options)


def by_subsets(rewards, k):
    """Return, for each i, the mean over the k-subsets with i of their best minus the best of the others in them."""
    others = range(len(rewards))
    return [
        fmean(
            max(rewards[j] for j in (i, *rest)) - max(rewards[j] for j in rest)
            for rest in itertools.combinations([j for j in others if j != i], k - 1)
        )
        for i in others
    ]


@laws
@given(data=st.data(), num_generations=st.integers(2, 7))
def test_pass_at_k_is_the_mean_over_all_subsets(data, num_generations):
    rewards = column(data.draw, 2 * num_generations).flatten()
    k = data.draw(st.integers(2, num_generations))
    expected = [a for group in rewards.view(2, -1).tolist() for a in by_subsets(group, k)]
    torch.testing.assert_close(
        pass_at_k_advantages(rewards, num_generations, k), torch.tensor(expected, dtype=torch.float64)
    )


@given(data=st.data(), num_generations=st.integers(2, 6))
def test_pass_at_g_is_the_best_minus_the_second_best_and_zero_for_all_others(data, num_generations):
    rewards = column(data.draw, num_generations).flatten()
    advantages = pass_at_k_advantages(rewards, num_generations, num_generations)
    best, second = rewards.topk(2).values
    expected = torch.zeros(num_generations, dtype=torch.float64)
    expected[rewards.argmax()] = best - second
    torch.testing.assert_close(advantages, expected)


def expected_gradient(advantages_of, theta, num_samples):
    """Return the expectation, over all groups of samples from softmax(theta), of the mean of A times grad log p."""
    logps = theta.log_softmax(dim=0)
    total = torch.zeros_like(theta)
    for group in itertools.product(range(len(theta)), repeat=num_samples):
        tokens = torch.tensor(group)
        (gradient,) = torch.autograd.grad((advantages_of(tokens) * logps[tokens]).mean(), theta, retain_graph=True)
        total += logps[tokens].sum().exp().detach() * gradient
    return total


def gradient_of_expected_best(theta, rewards, k):
    logps = theta.log_softmax(dim=0)
    groups = [torch.tensor(group) for group in itertools.product(range(len(theta)), repeat=k)]
    value = torch.stack([logps[group].sum().exp() * rewards[group].max() for group in groups]).sum()
    return torch.autograd.grad(value, theta)[0]


THETA = torch.tensor([0.3, -0.5, 1.0], dtype=torch.float64, requires_grad=True)
REWARDS = torch.tensor([1.0, 0.25, 0.4], dtype=torch.float64)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_k_times_the_pass_at_k_gradient_is_on_average_the_gradient_of_the_expected_best_of_k(k):
    estimated = k * expected_gradient(lambda tokens: pass_at_k_advantages(REWARDS[tokens], 4, k), THETA, 4)
    torch.testing.assert_close(estimated, gradient_of_expected_best(THETA, REWARDS, k))


def test_the_rloo_gradient_is_on_average_the_gradient_of_the_expected_reward():
    estimated = expected_gradient(lambda tokens: rloo_advantages(REWARDS[tokens], 3), THETA, 3)
    torch.testing.assert_close(estimated, gradient_of_expected_best(THETA, REWARDS, 1))


def test_a_k1_penalty_in_the_reward_gives_on_average_the_gradient_of_reward_minus_reverse_kl():
    ref_logps = torch.tensor([-0.2, 0.9, 0.1], dtype=torch.float64).log_softmax(dim=0)
    logps = THETA.log_softmax(dim=0)

    def penalised(tokens):
        kl = kl_penalty(logps[tokens][:, None], ref_logps[tokens][:, None], torch.ones(3, 1))
        return estimate("rloo", REWARDS[tokens][:, None], 3, penalty=0.5 * kl)

    objective = (logps.exp() * (REWARDS - 0.5 * (logps - ref_logps))).sum()
    torch.testing.assert_close(expected_gradient(penalised, THETA, 3), torch.autograd.grad(objective, THETA)[0])


@laws
@given(data=st.data(), num_generations=st.integers(2, 6))
def test_rank_maps_average_ranks_linearly_to_minus_one_and_one(data, num_generations):
    rewards = column(data.draw, num_generations).flatten()
    places = sorted(rewards.tolist())
    ranks = [fmean(place for place, other in enumerate(places) if other == reward) for reward in rewards.tolist()]
    expected = [2 * rank / (num_generations - 1) - 1 for rank in ranks]
    torch.testing.assert_close(rank_advantages(rewards, num_generations), torch.tensor(expected, dtype=torch.float64))


def test_the_rounding_of_a_sum_is_not_ranked():
    rewards = torch.tensor([[0.1, 0.2], [0.3, 0.0], [0.3, 1.0]], dtype=torch.float64)
    assert (rewards[0] * 10).sum() / 10 == 0.3 and rewards[0].sum() != 0.3
    assert estimate("rank", rewards, 3).tolist() == [-0.5, -0.5, 1.0]
    assert estimate("rank", rewards[:2], 2).tolist() == [0.0, 0.0]


def test_one_outlier_does_not_make_the_others_equal():
    first, second = torch.tensor([0.1, 0.2, 0.3, -1e6]), torch.tensor([0.0, 1.0, 2.0, 1e7])
    third = torch.tensor(1 / 3)
    torch.testing.assert_close(rank_advantages(first, 4), torch.stack([-third, third, *torch.tensor([1.0, -1.0])]))
    torch.testing.assert_close(
        rank_advantages(second, 4), torch.stack([*torch.tensor([-1.0]), -third, third, *torch.ones(1)])
    )


@given(data=st.data(), num_generations=st.integers(2, 5))
def test_reinforce_plus_plus_has_mean_zero_and_std_one_over_the_batch(data, num_generations):
    rewards = column(data.draw, 3 * num_generations).flatten()
    advantages = reinforce_plus_plus_advantages(rewards, num_generations, std_eps=0.0)
    dead = (rewards.view(3, -1) == rewards.view(3, -1)[:, :1]).all()
    torch.testing.assert_close(advantages.mean().item(), 0.0, atol=1e-12, rtol=0)
    torch.testing.assert_close(advantages.std().item(), 0.0 if dead else 1.0)


def test_gdpo_gives_a_function_with_small_rewards_the_same_say():
    rewards = torch.tensor([[0.0, 100.0], [1.0, 0.0]])
    even = gdpo_advantages(rewards, torch.ones(2), 2, std_eps=0.0)
    assert even.tolist() == [0.0, 0.0]  # the two disagree, and neither is louder
    assert group_advantages(rewards.sum(dim=1), 2)[0] > 0.7


@BY_NAME
@laws
@given(tenths=st.tuples(st.integers(-99, 99), st.integers(-99, 99)), num_generations=st.integers(2, 7))
def test_equal_rewards_give_exactly_zero(name, tenths, num_generations):
    rewards = torch.tensor(tenths, dtype=torch.float64) / 10  # not exact in binary, so neither is their mean
    rows = rewards[:, None].repeat_interleave(num_generations, dim=0)
    for std_eps in (0.0, 1e-4):
        assert not estimate(name, rows, num_generations, std_eps=std_eps).any()


@pytest.mark.parametrize("name", ["grpo", "rloo", "reinforce_plus_plus"])
@given(tenths=st.lists(st.integers(-9, 9), min_size=12, max_size=12), num_generations=st.sampled_from([3, 4, 6]))
def test_a_reward_that_is_the_mean_gets_exactly_zero_and_no_other_does(name, tenths, num_generations):
    totals = [sum(tenths[i : i + num_generations]) for i in range(0, 12, num_generations)]
    is_mean = [tenth * num_generations == totals[i // num_generations] for i, tenth in enumerate(tenths)]
    rewards = torch.tensor(tenths, dtype=torch.float64)[:, None] / 10
    for std_eps in (0.0, 1e-4):
        assert (estimate(name, rewards, num_generations, std_eps=std_eps) == 0).tolist() == is_mean


@pytest.mark.parametrize("name", [name for name in ADVANTAGE_ESTIMATORS if name != "gdpo"])
def test_the_rounding_of_a_sum_is_no_advantage(name):
    rewards = torch.tensor([[0.1, 0.2], [0.3, 0.0], [0.0, 0.3]], dtype=torch.float64)  # the first is 5.6e-17 more
    assert rewards.sum(dim=1).unique().numel() == 2
    assert not estimate(name, rewards, 3, std_eps=1e-4, pass_k=3).any()


@laws
@given(tenths=st.lists(st.integers(0, 9), min_size=8, max_size=8))
def test_two_functions_that_cancel_leave_gdpo_exactly_zero(tenths):
    rewards = torch.tensor(tenths, dtype=torch.float64) / 10
    against = torch.stack([rewards, 1.0 - rewards], dim=1)
    assert not estimate("gdpo", against, 4, std_eps=1e-4).any()


@BY_NAME
@laws
@given(data=st.data(), shift=QUARTERS)
def test_adding_the_same_to_the_rewards_of_a_group_changes_nothing(name, data, shift):
    rewards = column(data.draw, 6)
    shifted = rewards + torch.tensor([[shift]] * 3 + [[0.0]] * 3, dtype=torch.float64)
    torch.testing.assert_close(estimate(name, rewards, 3), estimate(name, shifted, 3), atol=1e-9, rtol=1e-9)


@BY_NAME
@laws
@given(data=st.data(), scale=st.floats(0.1, 10.0))
def test_scaled_rewards_scale_rloo_and_pass_at_k_and_change_nothing_else(name, data, scale):
    rewards = column(data.draw, 6)
    factor = scale if name in ("rloo", "pass_at_k") else 1.0
    torch.testing.assert_close(
        estimate(name, scale * rewards, 3), factor * estimate(name, rewards, 3), atol=1e-9, rtol=1e-9
    )


@BY_NAME
@laws
@given(data=st.data())
def test_advantages_of_a_group_sum_to_zero_but_for_pass_at_k_whose_are_never_negative(name, data):
    advantages = estimate(name, column(data.draw, 8), 4).view(2, 4)
    if name == "pass_at_k":
        assert (advantages >= 0).all()
    else:
        torch.testing.assert_close(advantages.sum(dim=1), torch.zeros(2, dtype=torch.float64), atol=1e-9, rtol=0)


@BY_NAME
@laws
@given(data=st.data(), order=st.permutations(range(4)))
def test_reordered_completions_and_groups_keep_their_advantages(name, data, order):
    rewards = column(data.draw, 8)
    rows = torch.tensor([4 + i for i in order] + list(order))  # the second group first, each in another order
    torch.testing.assert_close(estimate(name, rewards[rows], 4), estimate(name, rewards, 4)[rows], atol=1e-9, rtol=1e-9)


@BY_NAME
@laws
@given(data=st.data(), places=st.lists(st.integers(0, 3), min_size=2, max_size=2))
def test_a_reward_that_is_none_enters_no_baseline_and_gets_zero(name, data, places):
    rewards = column(data.draw, 6)
    rows = [places[0], 4 + places[1]]
    is_scored = torch.ones(8, dtype=torch.bool)
    is_scored[rows] = False
    with_none = torch.full((8, 1), NAN, dtype=torch.float64)
    with_none[is_scored] = rewards
    advantages = estimate(name, with_none, 4)
    assert not advantages[~is_scored].any()
    torch.testing.assert_close(advantages[is_scored], estimate(name, rewards, 3), atol=1e-9, rtol=1e-9)


@BY_NAME
def test_groups_with_one_or_no_scorable_reward_get_zeros(name):
    rewards = torch.tensor([[NAN], [5.0], [NAN], [NAN], [1.0], [2.0]], dtype=torch.float64)
    for options in ({}, {"std_ddof": 0}, {"pass_k": 1}, {"scale_rewards": "batch"}):
        advantages = estimate(name, rewards, 2, **options)
        assert not advantages[:4].any()
        assert advantages[5] > 0


def test_pass_at_k_takes_a_group_with_fewer_than_k_scorable_rewards_whole():
    advantages = pass_at_k_advantages(torch.tensor([5.0, NAN, 1.0, 2.0]), 4, k=4)
    assert advantages.tolist() == [3.0, 0.0, 0.0, 0.0]


@BY_NAME
def test_a_function_that_could_not_score_adds_nothing_and_weights_are_factors(name):
    rewards = torch.tensor([[1.0, NAN], [0.0, 4.0], [NAN, NAN], [2.0, 1.0]], dtype=torch.float64)
    options = {"advantage_estimator": name, "pass_k": 2}
    found = estimate_advantages(rewards, torch.tensor([1.0, 0.5]), 4, **options)
    if name == "gdpo":
        assert found[2] == 0
        return
    totals = torch.tensor([[1.0], [2.0], [NAN], [2.5]], dtype=torch.float64)
    assert torch.equal(found, estimate_advantages(totals, ONE, 4, **options))


@pytest.mark.parametrize("scale_rewards", ["group", "batch", "none"])
@pytest.mark.parametrize("std", [{"std_ddof": 0, "std_eps": 0.0}, {"std_ddof": 1, "std_eps": 1e-4}])
def test_grpo_is_the_group_advantage_of_the_weighted_sum_with_the_conventions_asked_for(scale_rewards, std):
    rewards = torch.tensor([[1.0, 0.0], [0.0, 4.0], [3.0, 1.0], [2.0, 1.0]], dtype=torch.float64)
    found = estimate_advantages(rewards, torch.tensor([1.0, 0.5]), 2, scale_rewards=scale_rewards, **std)
    totals = torch.tensor([1.0, 2.0, 3.5, 2.5], dtype=torch.float64)
    assert torch.equal(found, group_advantages(totals, 2, scale_rewards=scale_rewards, **std))


@BY_NAME
def test_a_penalty_is_taken_off_the_reward_and_refused_by_gdpo(name):
    rewards = torch.tensor([[1.0], [0.0], [3.0], [NAN]])
    penalty = torch.tensor([0.0, 1.0, 2.5, 0.0])
    if name == "gdpo":
        with pytest.raises(ValueError, match=r"gdpo.*no penalty"):
            estimate(name, rewards, 4, penalty=penalty)
        return
    assert torch.equal(estimate(name, rewards, 4, penalty=penalty), estimate(name, rewards - penalty[:, None], 4))


@BY_NAME
def test_everything_is_computed_in_float64_and_returned_as_the_rewards_are(name):
    rewards = torch.tensor([[0.1, 1e4], [0.7, 1e4], [0.3, 1e4], [0.1, 1e4], [0.15, 1e4], [0.2, 1e4]])
    weights = torch.tensor([1.0, 0.3])
    options = {"advantage_estimator": name, "pass_k": 2}
    found = estimate_advantages(rewards, weights, 3, **options)
    in_float64 = estimate_advantages(rewards.to(torch.float64), weights.to(torch.float64), 3, **options)
    assert found.dtype == torch.float32
    assert torch.equal(found, in_float64.to(torch.float32))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"advantage_estimator": "best"}, "'best' is none of grpo, rloo"),
        ({"advantage_estimator": "pass_at_k", "pass_k": 5}, r"k=5 is outside \[1, 4\]"),
        ({"advantage_estimator": "pass_at_k", "pass_k": 0}, r"k=0 is outside \[1, 4\]"),
        ({"std_ddof": 2}, "std_ddof=2 is neither 0"),
        ({"std_eps": -1e-4}, "std_eps=-0.0001 is below 0"),
        ({"advantage_estimator": "gdpo", "std_eps": NAN}, "std_eps=nan is below 0"),
    ],
)
def test_what_cannot_be_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        estimate_advantages(torch.zeros(4, 1), torch.ones(1), 4, **options)


@BY_NAME
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_whole_numbers_have_the_advantages_of_the_same_numbers_with_a_point(name, dtype):
    rewards_BF = torch.tensor([[1, 0], [0, 0], [0, 2], [1, 1], [3, 0], [1, 1]])
    expected = estimate(name, rewards_BF.float(), 3)
    found = estimate(name, rewards_BF.to(dtype), 3)
    assert found.dtype == torch.float32 and expected.unique().numel() > 2
    assert torch.equal(found, expected)


@BY_NAME
def test_of_no_completions_there_are_no_advantages(name):
    assert estimate(name, torch.zeros(0, 2), 4).shape == (0,)


@BY_NAME
def test_a_group_of_one_has_nothing_to_be_compared_with(name):
    with pytest.raises(ValueError, match="num_generations=1: a group needs at least 2"):
        estimate(name, torch.zeros(2, 1), 1, pass_k=1)
