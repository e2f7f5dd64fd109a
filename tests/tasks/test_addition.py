import itertools
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import ConfigError
from workbench.tasks.addition import (
    ADDITION,
    demonstrate,
    examples,
    expected_steps,
    read_steps,
    read_summands,
    reward_steps,
)

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


def steps_of(completion, prompt="23+47=?", **columns):
    return [(step.end, step.reward) for step in reward_steps(prompt, completion, columns)]


@pytest.mark.parametrize(
    ("completion", "steps"),
    [
        (RIGHT, [(8, 1), (17, 1), (44, 1)]),
        ("<think>" + RIGHT, [(15, 1), (24, 1), (51, 1)]),
        ("3+7+0=10; 2+4+0=6</think><answer>60</answer>", [(8, 1), (17, 0), (44, 0)]),
        ("2+4+1=7; 3+7+0=10</think><answer>70</answer>", [(7, 0), (17, 0), (44, 1)]),
        ("3+7+0=10; 2+4+1=7</think>70", [(8, 1), (17, 1), (27, 0)]),
        ("3+7+0=10; 2+4+1=7", [(8, 1), (17, 1), (17, 0)]),
        ("先 3 + 7+0=10 ;\n 2+4+1=7 \n，好</think><answer>70</answer>。", [(12, 0), (23, 1), (55, 1)]),
        ("😀=1;2+4+1=7</think><answer>70</answer>", [(3, 0), (11, 1), (38, 1)]),
        ("3+7+0=10; 2+4+1=7; 2+4+1=7; x=y</think><answer>70</answer>", [(8, 1), (17, 1), (26, 0), (31, 0), (58, 1)]),
        ("</think>3+7+0=10; 2+4+1=7<answer>70</answer>", [(44, 1)]),
        ("<answer>69</answer><answer>70</answer>!", [(39, 1)]),
        ("nothing", [(7, 0)]),
        ("", [(0, 0)]),
    ],
)
def test_steps_by_hand(completion, steps):
    assert steps_of(completion) == steps


def test_steps_say_why_and_need_a_sum_or_a_target():
    assert [step.reason for step in reward_steps("23+47=?", "3+7+0=9; 2+4+1=7; 1=1</think>", {})] == [
        "wanted 3+7+0=10",
        "right",
        "wanted no further step",
        "no <answer>…</answer>",
    ]
    assert steps_of(RIGHT, prompt="how are you") == []
    assert steps_of(RIGHT, prompt="how are you", target="70") == [(44, 1)], "no steps are known, the answer is"
    assert steps_of(RIGHT, target="71") == [(8, 1), (17, 1), (44, 0)]


marks = [";", "; ", "\n", "\u3000", "=", "<think>", "</think>", "<answer>", "70", "</answer>"]
pieces = st.sampled_from(["3+7+0=10", "2+4+1=7", "2 + 4+1= 7", "答=", "😀", *marks])
texts = st.lists(pieces, max_size=12).map("".join)


@given(texts)
def test_each_step_ends_with_the_last_character_of_its_equation_and_the_last_with_the_completion(completion):
    *equations, answer = reward_steps("23+47=?", completion, {})
    begin = 0
    for step, equation in zip(equations, read_steps(completion), strict=True):
        text = completion[begin : step.end]
        assert "".join(text.split()).endswith(equation) and text == text.rstrip()
        assert re.match(r"\s*(;|\n|</think>|<answer>|$)", completion[step.end :])
        begin = step.end
    assert answer.end == len(completion) >= begin


@given(texts)
def test_the_steps_are_right_where_the_two_rewards_say_so(completion):
    *equations, answer = reward_steps("23+47=?", completion, {})
    rewards = score_one(completion)
    assert answer.reward == rewards["answer"]
    assert sum(step.reward for step in equations) / max(2, len(equations)) == rewards["steps"]


@given(st.sampled_from(["3+7+0=10", "3+7+0=9"]), st.sampled_from(["2+4+1=7", "2+4+0=6"]), texts)
def test_equations_after_the_expected_ones_never_earn_more(first, second, extra):
    thinking = f"{first}; {second}; "
    *without, _ = reward_steps("23+47=?", thinking + "</think>", {})
    *more, _ = reward_steps("23+47=?", thinking + extra, {})
    assert more[:2] == without, "a step keeps its end and its reward whatever follows it"
    assert [step.reward for step in more[2:]] == [0] * (len(more) - 2)


def test_a_demonstration_of_a_conversation_is_written_as_the_bundled_model_knows_it():
    example = {"prompt": [{"role": "user", "content": "23+47=?"}]}
    assert demonstrate(example, random.Random(0)) == RIGHT
    with pytest.raises(ConfigError, match="prompt 'how are you' is not a sum of two numbers"):
        demonstrate({"prompt": "how are you"}, random.Random(0))


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
