import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.tasks.addition import ADDITION, examples, expected_steps, read_summands

RIGHT = "3+7+0=10; 2+4+1=7</think><answer>70</answer>"


def score_one(completion, prompt="23+47=?", **columns):
    rewards = [f(prompts=[prompt], completions=[completion], **columns)[0] for f in ADDITION.reward_functions]
    return dict(zip(["answer", "steps", "format"], rewards, strict=True))


@pytest.mark.parametrize(
    ("completion", "answer", "steps", "format_"),
    [
        (RIGHT, 1, 1, 1),
        ("<think>" + RIGHT, 1, 1, 1),
        ("3+7+0=10; 2+4+1=7; check</think><answer>70</answer>", 1, 1, 1),
        ("3+7+0=10; 2+4+0=6</think><answer>60</answer>", 0, 0.5, 1),
        ("3+7+0=10; 2+4+1=7</think>70", 0, 1, 0),
        ("2+4+1=7; 3+7+0=10</think><answer>70</answer>", 1, 0, 1),
        ("</think><answer>70</answer>", 1, 0, 1),
        ("3+7+0=10; 3+7+0=11; 2+4+1=7; 2+4+1=8</think><answer>70</answer>", 1, 0.25, 1),
        ("<answer>69</answer><answer>70</answer>", 1, 0, 0),
        ("", 0, 0, 0),
    ],
)
def test_rewards_by_hand(completion, answer, steps, format_):
    assert score_one(completion) == {"answer": answer, "steps": steps, "format": format_}


def test_the_functions_carry_the_metric_names_and_a_faultless_completion_earns_the_maximum():
    assert [f.__name__ for f in ADDITION.reward_functions] == ["answer", "steps", "format"]
    rewards = score_one(RIGHT)
    assert (
        sum(w * r for w, r in zip(ADDITION.reward_weights, rewards.values(), strict=True)) == ADDITION.max_reward == 1.5
    )


def test_the_target_column_wins_over_the_prompt_and_a_missing_truth_is_not_applicable():
    assert score_one(RIGHT, target=["71"])["answer"] == 0
    assert score_one(RIGHT, target=[70])["answer"] == 1
    assert score_one(RIGHT, target=[None])["answer"] == 1
    unknown = score_one(RIGHT, prompt="how are you")
    assert unknown == {"answer": None, "steps": None, "format": 1}


def test_conversations_are_scored_like_strings():
    (reward,) = ADDITION.reward_functions[0](
        prompts=[[{"role": "user", "content": "23+47=?"}]], completions=[[{"role": "assistant", "content": RIGHT}]]
    )
    assert reward == 1


@pytest.mark.parametrize(
    ("prompt", "summands"),
    [
        ("25+73=?", (25, 73)),
        ("What is 25 + 73?", (25, 73)),
        ("算一算：25+73=", (25, 73)),
        ("1+1=2\n25+73=?", (25, 73)),
        ("2+3+4=?", None),
        ("2 + 3 + 4", None),
        ("2*3+4=?", None),
        ("1.5+2=?", None),
        ("-2+3=?", None),
        ("", None),
    ],
)
def test_summands_are_read_only_from_a_sum_of_exactly_two(prompt, summands):
    assert read_summands(prompt) == summands


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_steps_digits_spell_the_sum(first, second):
    totals = [int(step.split("=")[1]) for step in expected_steps(first, second)]
    digits = "".join(str(total % 10) for total in reversed(totals))
    assert int(f"{totals[-1] // 10}{digits}") == first + second


def test_every_example_is_a_sum_of_two_digit_numbers():
    for row in itertools.islice(examples(0), 500):
        first, second = read_summands(row["prompt"])
        assert 10 <= first <= 99 and 10 <= second <= 99 and row["target"] == str(first + second)
