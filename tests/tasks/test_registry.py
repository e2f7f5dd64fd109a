import pytest

from workbench.errors import ConfigError
from workbench.tasks.registry import TASKS, get_task


def test_tasks_are_found_by_their_own_name():
    assert all(get_task(name) is task and task.name == name for name, task in TASKS.items())
    assert all(task.description and task.description_zh for task in TASKS.values())


def test_an_unknown_task_is_named_and_the_known_ones_listed():
    with pytest.raises(ConfigError, match=r"'sums'.*addition, countdown, sorting"):
        get_task("sums")
