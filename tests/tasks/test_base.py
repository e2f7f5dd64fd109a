import copy
import itertools
import json
import math
import pickle

import pytest

from workbench.tasks.base import Reward, reward_function, text_of
from workbench.tasks.registry import TASKS


def test_a_reward_is_a_float_that_keeps_its_reason_through_copies():
    reward = Reward(0.25, "why")
    for same in (reward, copy.deepcopy(reward), pickle.loads(pickle.dumps(reward))):
        assert (same, same.reason) == (0.25, "why")
    assert json.dumps([reward]) == "[0.25]"
    assert not Reward(math.nan).is_applicable


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("sort 52714", "sort 52714"),
        ([{"role": "system", "content": "x"}, {"role": "user", "content": "你好"}], "你好"),
        (
            [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}],
                }
            ],
            "ab",
        ),
        ([{"role": "assistant", "content": None}], ""),
        ([], ""),
    ],
)
def test_a_prompt_is_read_from_a_string_or_from_its_last_message(text, read):
    assert text_of(text) == read


def test_a_decorated_function_sees_its_rows_columns_and_not_trls_callbacks():
    seen = []

    @reward_function("spy")
    def spy(prompt, completion, columns):
        seen.append((prompt, completion, dict(columns)))

    assert (
        spy(prompts=["a", "b"], completions=["c", "d"], target=["1", "2"], trainer_state=None, log_metric=print)
        == [None] * 2
    )
    assert seen == [("a", "c", {"target": "1"}), ("b", "d", {"target": "2"})]
    assert spy.__name__ == "spy"


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_examples_are_endless_rows_that_only_the_seed_decides(task):
    first = list(itertools.islice(task.examples(3), 200))
    assert first == list(itertools.islice(task.examples(3), 200))
    assert first != list(itertools.islice(task.examples(4), 200))
    assert all(row.keys() >= {"prompt", "target"} for row in first)
    assert len({row["prompt"] for row in first}) > 150


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
@pytest.mark.parametrize(
    "completion", ["", "<answer>", "</answer><answer>", "<answer></answer>", "九", "<answer>٣</answer>", "9" * 6000]
)
def test_no_completion_breaks_a_reward_function(task, completion):
    example = next(task.examples(0))
    for function in task.reward_functions:
        (reward,) = function(prompts=[example["prompt"]], completions=[completion], target=[example["target"]])
        assert reward == 0.0 and reward.reason
    assert task.read_answer(completion) in (None, "", "٣")
