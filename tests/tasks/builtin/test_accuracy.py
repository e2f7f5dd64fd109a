import functools
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.tasks.builtin.accuracy import AccuracyReward, CosineScaledReward, ReasoningAccuracyReward
from workbench.tasks.builtin.verifier import MathVerifier
from workbench.tasks.rewards import score

EXPRESSIONS = [
    "4", "-4", "4.0", "0.5", r"\frac{1}{2}", r"\frac{2}{4}", "1/2", r"50\%", "x+1", "1+x", "(1,2]", r"\{1,2\}", "x=4",
    r"\sqrt{2}", "10^{3}", "1,000", r"4\text{ cm}", "", "((", "你好",
]  # fmt: skip
TEMPLATES = [r"So \boxed{%s}.", "The answer is $%s$.", "%s", r"$$%s$$ or \boxed{3}", r"\boxed{3} no, \boxed{%s}"]
TEMPLATES += [r"The final answer is $3$. I hope so, or \boxed{%s}", r"The answer is $%s$. \boxed{((}"]
expressions = st.sampled_from(EXPRESSIONS)
texts = st.builds(
    lambda template, expression: template.replace("%s", expression), st.sampled_from(TEMPLATES), expressions
)
reasoned = st.builds("".join, st.lists(st.one_of(texts, st.sampled_from(["</think>", "<think>", "</r>"])), max_size=4))
solutions = st.one_of(expressions, texts)


def messages_of(contents):
    return [[{"role": "assistant", "content": content}] for content in contents]


@functools.cache
def verifier():
    return MathVerifier()


def logged(function, **keywords):
    columns = {}
    rewards = function(**keywords, log_extra=columns.__setitem__)
    return rewards, columns


def split(rows):
    return [content for content, _ in rows], [solution for _, solution in rows]


@settings(max_examples=60)
@given(st.lists(st.tuples(texts, solutions), max_size=3))
def test_accuracy_and_what_was_read_are_trls(rows):
    trl = pytest.importorskip("trl.rewards")
    contents, answers = split(rows)
    messages = messages_of(contents)
    theirs = logged(trl.accuracy_reward, completions=messages, solution=answers)
    ours = AccuracyReward(verifier())
    assert logged(ours, prompts=["?"], completions=messages, solution=answers, completion_ids=None) == theirs
    assert ours(contents, answers) == theirs[0], "a plain string is read like a message"


@settings(max_examples=60)
@given(
    st.lists(st.tuples(reasoned, solutions), max_size=3), st.sampled_from([None, ["</r>", "</think>"], ["</r>"], []])
)
def test_accuracy_after_reasoning_is_trls(rows, delimiters):
    trl = pytest.importorskip("trl.rewards")
    contents, answers = split(rows)
    keywords = {"completions": messages_of(contents), "solution": answers, "reasoning_delimiters": delimiters}
    ours = ReasoningAccuracyReward(verifier())
    assert logged(ours, **keywords) == logged(trl.reasoning_accuracy_reward, **keywords)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(texts, solutions, st.integers(0, 30)), max_size=3),
    st.integers(1, 20),
    st.lists(st.floats(-3, 3), min_size=4, max_size=4),
)
def test_the_cosine_scale_is_trls(rows, max_len, bounds):
    trl = pytest.importorskip("trl.rewards")
    messages = messages_of(content for content, _, _ in rows)
    keywords = {"solution": [answer for _, answer, _ in rows], "completion_ids": [[0] * length for *_, length in rows]}
    theirs = trl.get_cosine_scaled_reward(max_len, *bounds)
    ours = CosineScaledReward(max_len, *bounds)
    object.__setattr__(ours, "accuracy", AccuracyReward(verifier()))  # one process for all the examples
    assert ours(completions=messages, **keywords) == pytest.approx(
        theirs(completions=messages, **keywords), abs=1e-12, nan_ok=True
    )
    assert ours.__name__ == theirs.__name__


@pytest.mark.parametrize("solution", [None, 4, 4.0, ["4"], "", "how"])
def test_a_solution_that_cannot_be_read_is_left_out_as_by_trl(solution):
    trl = pytest.importorskip("trl.rewards")
    keywords = {"completions": messages_of([r"\boxed{4}"]), "solution": [solution]}
    assert AccuracyReward(verifier())(**keywords) == trl.accuracy_reward(**keywords) == [None]


def test_the_reason_says_what_was_read_and_wanted():
    rewards = AccuracyReward(verifier())([r"\boxed{\frac{1}{2}}", r"\boxed{2}", "2"], ["0.5"] * 3)
    assert [float(reward) for reward in rewards if reward is not None] == [1, 0, 0]
    assert [reward.reason for reward in rewards if reward is not None] == [
        r"read [1/2, '\\frac{1}{2}'], wanted [0.500000000000000, '0.5']",
        "read [2, '2'], wanted [0.500000000000000, '0.5']",
        "no answer marked as mathematics",
    ]
    (endless,) = ReasoningAccuracyReward(verifier())([r"<think>\boxed{2}"], ["2"])
    assert endless is not None and endless.reason == "the reasoning never ends"


def test_it_scores_in_a_thread_as_in_the_main_one():
    found = []
    thread = threading.Thread(target=lambda: found.extend(AccuracyReward(verifier())([r"\boxed{4}"], ["4"])))
    thread.start()
    thread.join()
    assert found == [1.0]


def test_a_dataset_without_the_columns_is_told_which_is_missing():
    with pytest.raises(ValueError, match="'accuracy_reward' raised ValueError: accuracy_reward needs 'solution'"):
        score([AccuracyReward(verifier())], ["?"], ["4"])
    with pytest.raises(ValueError, match="cosine_scaled_reward needs 'completion_ids'"):
        score([CosineScaledReward(8)], ["?"], ["4"], columns={"solution": ["4"]})
