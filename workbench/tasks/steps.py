"""Process supervision: finding the function that rewards each step of a completion, the task's or the user's."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from workbench.errors import ConfigError
from workbench.tasks.base import RewardError, StepReward, StepRewards, Task
from workbench.tasks.files import load_from_file, names_a_file
from workbench.tasks.registry import TASKS


def load_step_rewards(name: str | None, task: Task) -> StepRewards:
    """Return the task's function, or that of ``path/to/file.py:function``; ConfigError where there is none.

    The user's function takes (prompt, completion, columns), two texts and the row's other columns, and returns a list
    of StepReward whose ends do not fall.  RewardError, when it is called, where it raises or returns anything else.
    """
    if name is None:
        if task.step_rewards is None:
            have = ", ".join(each.name for each in TASKS.values() if each.step_rewards is not None)
            raise ConfigError(
                f"task={task.name!r} has no step rewards; choose a task that has ({have}), "
                "or give step_rewards=path/to/file.py:function"
            )
        return task.step_rewards
    if not names_a_file(name):
        raise ConfigError(f"step_rewards={name!r} is not written as path/to/file.py:function")
    return _checked(load_from_file(name, "step_rewards"), name)


def _checked(function: Callable[..., Any], name: str) -> StepRewards:
    @functools.wraps(function)
    def step_rewards(prompt: str, completion: str, columns: Mapping[str, Any]) -> list[StepReward]:
        try:
            steps = function(prompt, completion, columns)
        except Exception as error:  # a user's function may raise anything; it is kept as the cause
            raise RewardError(f"{name} raised {type(error).__name__}: {error} (prompt {prompt[:80]!r})") from error
        if not isinstance(steps, (list, tuple)) or not all(isinstance(step, StepReward) for step in steps):
            raise RewardError(f"{name} returned {str(steps)[:80]!r}, not a list of StepReward")
        ends = [step.end for step in steps]
        if ends != sorted(ends) or any(end > len(completion) for end in ends):
            raise RewardError(
                f"{name} returned steps that end at {ends}; ends do not fall, and are at most the completion's "
                f"length, here {len(completion)}"
            )
        return list(steps)

    return step_rewards
