import itertools
import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from workbench.errors import ConfigError
from workbench.tasks.countdown import COUNTDOWN, demonstrate, examples, find_signs, read_puzzle


def score_one(completion, prompt="make 9 from 2 5 6", **columns):
    return tuple(f(prompts=[prompt], completions=[completion], **columns)[0] for f in COUNTDOWN.reward_functions)


@pytest.mark.parametrize(
    ("completion", "rewards"),
    [
        ("<answer>5-2+6</answer>", (1, 1)),
        ("<answer>6 + 5 - 2</answer>", (1, 1)),
        ("5 and 6 first</think><answer>5+6-2</answer>", (1, 1)),
        ("<answer>5+2-6</answer>", (0, 1)),
        ("<answer>9</answer>", (0, 1)),
        ("<answer>5+6-2+0</answer>", (0, 1)),
        ("<answer>5+5-6+5</answer>", (0, 1)),
        ("<answer>5-2+6", (0, 0)),
        ("5-2+6", (0, 0)),
        ("<answer>(5-2)+6</answer>", (0, 0)),
        ("<answer>5-2+6</answer> or <answer>6-2+5</answer>", (1, 0)),
        ("", (0, 0)),
    ],
)
def test_rewards_by_hand(completion, rewards):
    assert score_one(completion) == rewards


def test_columns_win_over_the_prompt_and_a_missing_puzzle_is_not_applicable():
    assert score_one("<answer>1+2</answer>", prompt="reach it", target=[3], nums=[[1, 2]])[0] == 1
    assert score_one("<answer>1+2</answer>", prompt="reach it")[0] is None
    assert score_one("<answer>1+2</answer>", prompt="reach it", target=[3])[0] is None


@given(st.lists(st.integers(0, 20), min_size=1, max_size=5), st.integers(-5, 60))
def test_the_signs_found_are_all_that_reach_the_target(numbers, target):
    found = find_signs(target, numbers)
    reached = [sum(sign * number for sign, number in zip(signs, numbers, strict=True)) for signs in found]
    assert reached == [target] * len(found) and len(set(found)) == len(found)
    expressions = itertools.product((1, -1), repeat=len(numbers) - 1)
    starts = [numbers[index:] + numbers[:index] for index in range(len(numbers))]  # every number comes first once
    is_solvable = any(
        order[0] + sum(sign * number for sign, number in zip(signs, order[1:], strict=True)) == target
        for signs in expressions
        for order in starts
    )
    assert bool(found) == is_solvable


@given(st.lists(st.integers(0, 10**9 - 1), min_size=1, max_size=6), st.data())
def test_a_demonstration_solves_any_solvable_puzzle(numbers, data):
    signs = data.draw(st.lists(st.sampled_from((1, -1)), min_size=len(numbers), max_size=len(numbers)))
    target = sum(sign * number for sign, number in zip(signs, numbers, strict=True))
    assume(any(sign * number >= 0 for sign, number in zip(signs, numbers, strict=True)))
    example = {"prompt": "reach it", "target": target, "nums": numbers}
    completion = demonstrate(example, random.Random(data.draw(st.integers(0, 9))))
    assert score_one(completion, prompt="reach it", target=[target], nums=[numbers]) == (1, 1)


def test_the_rng_decides_which_solution_is_demonstrated():
    example = {"prompt": "make 9 from 2 5 6"}
    shown = {demonstrate(example, random.Random(seed)) for seed in range(60)}
    assert shown == {f"<answer>{way}</answer>" for way in ("5-2+6", "5+6-2", "6-2+5", "6+5-2")}


@pytest.mark.parametrize(
    "prompt",
    ["reach it", "make 100 from 2 5 6", "make -1 from 1", "make 13 from " + " ".join("1" * 13)],
)
def test_a_puzzle_that_cannot_be_demonstrated_is_told_in_one_sentence(prompt):
    with pytest.raises(ConfigError, match=f"prompt '{prompt}' is not a countdown of at most 12 numbers"):
        demonstrate({"prompt": prompt}, random.Random(0))


def test_every_puzzle_can_be_solved():
    for row in itertools.islice(examples(0), 300):
        target, numbers = read_puzzle(row["prompt"], {})
        assert (str(target), numbers) == (row["target"], row["nums"])
        assert any(
            sum(s * n for s, n in zip(signs, numbers, strict=True)) == target
            for signs in itertools.product((1, -1), repeat=len(numbers))
        )
