"""Right completions to imitate: the dataset's own, or the task's."""

import random
from collections.abc import Mapping
from typing import Any

from workbench.errors import ConfigError
from workbench.tasks.base import Example, Task, text_of


def demonstration_of(example: Example, task: Task, rng: random.Random) -> str:
    """Return the example's column ``completion``, a string or one message as in TRL, else the task's demonstration.

    Raises ConfigError where the column holds something else, or there is neither.
    """
    completion = example.get("completion")
    if completion is not None:
        return _read_completion(completion, text_of(example["prompt"]))
    if task.demonstrate is None:
        raise ConfigError(f"task={task.name!r} has no demonstrations; give a dataset with a column 'completion'")
    try:
        return task.demonstrate(example, rng)
    except ConfigError as error:
        raise ConfigError(f"{error}; a dataset's column 'completion' can give the demonstration") from error


def _read_completion(completion: Any, prompt: str) -> str:
    is_message = isinstance(completion, list) and len(completion) == 1 and isinstance(completion[0], Mapping)
    text = completion[0].get("content") if is_message else completion
    if not isinstance(text, str) or not text:
        raise ConfigError(
            f"the column 'completion' of prompt {prompt[:80]!r} holds {str(completion)[:80]!r}; "
            "it must be a text or a list of one message, and not empty"
        )
    return text
