"""The bundled tasks by name."""

from collections.abc import Mapping
from types import MappingProxyType

from workbench.errors import ConfigError
from workbench.tasks.addition import ADDITION
from workbench.tasks.base import Task
from workbench.tasks.countdown import COUNTDOWN
from workbench.tasks.sorting import SORTING

TASKS: Mapping[str, Task] = MappingProxyType({task.name: task for task in (ADDITION, COUNTDOWN, SORTING)})


def get_task(name: str) -> Task:
    """Return the task of that name; ConfigError lists the names there are."""
    if name not in TASKS:
        raise ConfigError(f"task={name!r} is not a task; choose one of {', '.join(TASKS)}")
    return TASKS[name]
