import numpy as np
import pytest
import torch

from workbench.errors import ConfigError
from workbench.tasks.base import Reward, StepReward
from workbench.tasks.registry import TASKS
from workbench.tasks.rewards import RewardError
from workbench.tasks.steps import load_step_rewards

FILE = """
from workbench.tasks.base import StepReward

def halves(prompt, completion, columns):
    return [StepReward(len(completion) // 2, 0.25, columns["why"]), StepReward(len(completion), 1.0)]

def falling(prompt, completion, columns):
    return [StepReward(2, 0.0), StepReward(1, 0.0)]

def beyond(prompt, completion, columns):
    return [StepReward(len(completion) + 1, 0.0)]

def numbers(prompt, completion, columns):
    return [1.0]

def nothing(prompt, completion, columns):
    return None

def broken(prompt, completion, columns):
    return [StepReward(-1, 0.0)]

def none(prompt, completion, columns):
    return []
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


def test_steps_come_from_the_task_or_from_a_file(file):
    addition = TASKS["addition"]
    assert load_step_rewards(None, addition) is addition.step_rewards
    halves = load_step_rewards(f"{file}:halves", TASKS["sorting"])
    assert halves("?", "abcd", {"why": "half"}) == [StepReward(2, 0.25, "half"), StepReward(4, 1.0)]
    assert load_step_rewards(f"{file}:none", addition)("?", "abcd", {}) == []


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (None, r"task='sorting' has no step rewards; choose a task that has \(addition\), or give step_rewards="),
        ("addition", "step_rewards='addition' is not written as path/to/file.py:function"),
        ("absent.py:steps", "step_rewards file 'absent.py' does not exist"),
        ("{file}:absent", "has no 'absent'; its functions are halves, falling"),
    ],
)
def test_steps_that_cannot_be_loaded_are_told_in_one_sentence(file, name, sentence):
    with pytest.raises(ConfigError, match=sentence):
        load_step_rewards(name and name.format(file=file), TASKS["sorting"])


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        ("falling", r"falling returned steps that end at \[2, 1\]; ends do not fall"),
        ("beyond", r"beyond returned steps that end at \[5\]; .*at most the completion's length, here 4"),
        ("numbers", r"numbers returned '\[1.0\]', not a list of StepReward"),
        ("nothing", "nothing returned 'None', not a list of StepReward"),
        ("broken", r"broken raised ValueError: end=-1 is not the index of a character.* \(prompt '23"),
        ("halves", "halves raised KeyError: 'why'"),
    ],
)
def test_a_function_that_returns_no_steps_is_named(file, function, sentence):
    with pytest.raises(RewardError, match=sentence):
        load_step_rewards(f"{file}:{function}", TASKS["addition"])("23+47=?", "abcd", {})


def test_a_step_s_numbers_may_be_numpys_or_a_tensors_and_its_reason_anything():
    step = StepReward(np.int64(3), torch.tensor(0.5), ValueError("half"))
    assert step == StepReward(3, 0.5, "half") and type(step.end) is int and type(step.reward) is float
    assert type(StepReward(1, Reward(1.0, "ok")).reward) is float


def test_a_step_has_a_place_and_a_finite_reward():
    with pytest.raises(ValueError, match=r"end=1.5 is not the index of a character: a whole number of at least 0"):
        StepReward(1.5, 0.0)
    with pytest.raises(ValueError, match="reward=nan is not a finite number"):
        StepReward(1, float("nan"))
