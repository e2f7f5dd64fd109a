import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.grpo import group_advantages, process_advantages

NAN = float("nan")


@st.composite
def written_steps(draw, num_rows=6, num_tokens=7):
    """Draw rewards and ends: any number of steps a completion, none too, some without a reward."""
    reward = st.sampled_from([0.0, 1.0, 0.5, -2.0, NAN])
    rewards = [draw(st.lists(reward, max_size=4)) for _ in range(num_rows)]
    ends = [sorted(draw(st.integers(0, num_tokens - 1)) for _ in row) for row in rewards]
    return rewards, ends


def by_double_loop(rewards, ends, num_generations, num_tokens, ddof, eps):
    """Return the advantages token by token, from the definition."""
    table = [[0.0] * num_tokens for _ in rewards]
    for row in range(len(rewards)):
        first = row - row % num_generations
        group = [r for steps in rewards[first : first + num_generations] for r in steps if not math.isnan(r)]
        mean = sum(group) / len(group) if group else 0.0
        divisor = len(group) - ddof
        std = math.sqrt(sum((r - mean) ** 2 for r in group) / divisor) if divisor > 0 else 0.0
        for token in range(num_tokens):
            for reward, end in zip(rewards[row], ends[row], strict=True):
                if end >= token and std > 0 and not math.isnan(reward):
                    table[row][token] += (reward - mean) / (std + eps)
    return torch.tensor(table)


@pytest.mark.parametrize(("ddof", "eps"), [(0, 0.0), (1, 0.0), (1, 1e-4)])
@settings(max_examples=40)
@given(steps=written_steps(), num_generations=st.sampled_from([2, 3, 6]))
def test_a_token_has_the_sum_of_the_normalised_rewards_of_the_steps_that_end_at_or_after_it(
    ddof, eps, steps, num_generations
):
    rewards, ends = steps
    found = process_advantages(rewards, ends, num_generations, 7, std_ddof=ddof, std_eps=eps)
    expected = by_double_loop(rewards, ends, num_generations, 7, ddof, eps)
    torch.testing.assert_close(found.advantages, expected, atol=1e-5, rtol=1e-5)
    assert [len(row) for row in found.normalised] == [len(row) for row in rewards]


@given(steps=written_steps())
def test_the_normalised_rewards_of_a_group_sum_to_zero_and_the_first_token_has_those_of_its_completion(steps):
    found = process_advantages(*steps, 3, 7)
    for first in (0, 3):
        assert abs(sum(z for row in found.normalised[first : first + 3] for z in row)) < 1e-9
    torch.testing.assert_close(found.advantages[:, 0], torch.tensor([sum(row, 0.0) for row in found.normalised]))


@given(tenths=st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=3, max_size=3))
def test_steps_that_cancel_give_exactly_zero_and_no_others_do(tenths):
    rewards, ends = [[tenth / 10 for tenth in row] for row in tenths], [list(range(len(row))) for row in tenths]
    found = process_advantages(rewards, ends, 3, 4).advantages
    count, total = sum(map(len, tenths)), sum(map(sum, tenths))
    for row, advantages in zip(tenths, found.tolist(), strict=True):
        for token, advantage in enumerate(advantages):
            later = row[token:]
            assert (advantage == 0) == (sum(later) * count == total * len(later))


@given(
    rewards=st.lists(st.sampled_from([0.0, 1.0, 0.25, NAN]), min_size=6, max_size=6),
    lengths=st.lists(st.integers(1, 5), min_size=6, max_size=6),
)
def test_one_step_at_the_end_of_each_completion_is_outcome_supervision(rewards, lengths):
    found = process_advantages([[r] for r in rewards], [[length - 1] for length in lengths], 3, 5)
    outcome = group_advantages(torch.tensor(rewards), 3)
    for row, length in enumerate(lengths):
        torch.testing.assert_close(found.advantages[row, :length], outcome[row].expand(length))
        assert not found.advantages[row, length:].any()


def test_a_step_without_a_reward_is_left_out_and_its_tokens_are_credited_with_later_steps():
    found = process_advantages([[1.0, NAN, 0.0], [0.0]], [[0, 1, 2], [0]], 2, 3, std_ddof=0, std_eps=0.0)
    without = process_advantages([[1.0, 0.0], [0.0]], [[0, 2], [0]], 2, 3, std_ddof=0, std_eps=0.0)
    assert torch.equal(found.advantages, without.advantages)
    assert found.normalised[0][1] == 0


def test_completions_without_steps_get_zeros():
    found = process_advantages([[], [], [1.0, 0.0], []], [[], [], [0, 1], []], 2, 2)
    assert not found.advantages[[0, 1, 3]].any()
    assert found.advantages[2, 1] < 0


@pytest.mark.parametrize(
    ("rewards", "ends", "num_generations", "message"),
    [
        ([[1.0]] * 3, [[0]] * 3, 2, "3 completions.*num_generations=2"),
        ([[1.0]] * 2, [[0]] * 2, 1, "num_generations=1.*at least 2"),
        ([[1.0], [1.0, 2.0]], [[0], [0]], 2, "one end for each reward"),
        ([[1.0], [1.0]], [[0], [4]], 2, r"end is 4, outside \[0, 3\]"),
        ([[1.0], [1.0]], [[-1], [0]], 2, r"end is -1, outside \[0, 3\]"),
    ],
)
def test_steps_that_do_not_fit_are_refused(rewards, ends, num_generations, message):
    with pytest.raises(ValueError, match=message):
        process_advantages(rewards, ends, num_generations, 4)
