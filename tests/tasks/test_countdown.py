import itertools

import pytest

from workbench.tasks.countdown import COUNTDOWN, examples, read_puzzle


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


def test_every_puzzle_can_be_solved():
    for row in itertools.islice(examples(0), 300):
        target, numbers = read_puzzle(row["prompt"], {})
        assert (str(target), numbers) == (row["target"], row["nums"])
        assert any(
            sum(s * n for s, n in zip(signs, numbers, strict=True)) == target
            for signs in itertools.product((1, -1), repeat=len(numbers))
        )
