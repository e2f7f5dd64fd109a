import dataclasses
import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import ConfigError
from workbench.models.demonstrations import DEMONSTRATE, FAULTLESS
from workbench.tasks.demonstrations import demonstration_of
from workbench.tasks.registry import TASKS
from workbench.tasks.rewards import columns_of, score, total_rewards


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
@given(seed=st.integers(0, 10**6))
def test_every_demonstration_and_each_of_its_steps_earns_the_highest_reward(task, seed):
    rng = random.Random(seed)
    for example in itertools.islice(task.examples(seed), 3):
        completion = demonstration_of(example, task, rng)
        scores = score(task.reward_functions, [example["prompt"]], [completion], None, columns_of([example]))
        assert total_rewards(scores, task.reward_weights) == [pytest.approx(task.max_reward)]
        steps = [] if task.step_rewards is None else task.step_rewards(example["prompt"], completion, example)
        assert all(step.reward == 1 for step in steps)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_demonstration_is_one_that_the_bundled_model_was_shown(task):
    for example in itertools.islice(task.examples(0), 20):
        shown = {DEMONSTRATE[task.name](example, FAULTLESS, random.Random(seed)) for seed in range(200)}
        assert demonstration_of(example, task, random.Random(0)) in shown


@pytest.mark.parametrize("completion", ["seventy", [{"role": "assistant", "content": "seventy"}]])
def test_the_datasets_completion_wins_over_the_tasks(completion):
    example = {"prompt": "23+47=?", "completion": completion}
    assert demonstration_of(example, TASKS["addition"], random.Random(0)) == "seventy"


def test_a_missing_cell_leaves_the_demonstration_to_the_task():
    example = {"prompt": "sort 21", "completion": None}
    assert demonstration_of(example, TASKS["sorting"], random.Random(0)) == "<answer>12</answer>"


@pytest.mark.parametrize(
    "completion",
    ["", [], 7, [{"role": "assistant", "content": None}], ["text"], [{"role": "assistant", "content": "a"}] * 2],
)
def test_a_column_that_holds_no_completion_is_told_in_one_sentence(completion):
    example = {"prompt": "23+47=?", "completion": completion}
    with pytest.raises(
        ConfigError, match=r"'completion' of prompt '23\+47=\?' holds .* a text or a list of one message"
    ):
        demonstration_of(example, TASKS["addition"], random.Random(0))


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_prompt_of_another_kind_needs_the_column(task):
    with pytest.raises(ConfigError, match=r"prompt 'how are you' .*; a dataset's column 'completion' can give"):
        demonstration_of({"prompt": "how are you"}, task, random.Random(0))
    silent = dataclasses.replace(task, demonstrate=None)
    with pytest.raises(ConfigError, match=f"task='{task.name}' has no demonstrations; give a dataset with a column"):
        demonstration_of({"prompt": "how are you"}, silent, random.Random(0))
