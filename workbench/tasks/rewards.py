"""Finding reward functions by name or file, and calling them as TRL does, with every failure told in one sentence."""

import asyncio
import inspect
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from workbench.errors import ConfigError
from workbench.tasks.base import Reward, RewardError, RewardFunction, Task, Text, number_of, text_of, whole_text
from workbench.tasks.builtin.names import BUILTIN_REWARDS, is_builtin, load_builtin
from workbench.tasks.event_loop import EventLoopThread
from workbench.tasks.files import load_from_file, names_a_file
from workbench.tasks.registry import TASKS
from workbench.tasks.steps import load_step_rewards as load_step_rewards

# Columns that TRL fills itself; a dataset's column of that name would collide with the keyword.
_RESERVED = frozenset(
    {"prompt", "prompts", "completion", "completions", "completion_ids", "trainer_state", "log_extra", "log_metric"}
)
LARGEST = 1e18  # of rewards: the square of a larger one, as in a standard deviation, may be beyond float32
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def reward_name(function: Callable[..., Any]) -> str:
    """Return the name of the function's metric: its ``__name__``, that of what a partial wraps, or its class's."""
    function = getattr(function, "func", function)
    return getattr(function, "__name__", None) or type(function).__name__


def load_reward(name: str, task: Task | None = None) -> RewardFunction:
    """Return the reward function of that name.

    It is ``task.function``, ``function`` of the given task, one of TRL's built-in rewards, with its arguments as in
    ``get_cosine_scaled_reward(max_len=48)``, or ``path/to/file.py:function``.  Raises ConfigError with what is missing
    and what there is.
    """
    if names_a_file(name):
        return cast(RewardFunction, load_from_file(name, "reward"))
    known = _known(task)
    function = known.get(name) or load_builtin(name)
    if function is not None:
        return function
    if is_reward_model(name, task):
        raise ConfigError(f"reward={name!r} is a reward model, not a function: the engine loads it with the policy")
    raise ConfigError(
        f"reward={name!r} is not a reward; choose one of {', '.join((*known, *BUILTIN_REWARDS))}, "
        "path/to/file.py:function, or a folder or hub id (org/name) of a sequence-classification model"
    )


def is_reward_model(name: str, task: Task | None = None) -> bool:
    """True where the name is no reward function's, and is a folder with a model or written like a hub id.

    A folder here wins over a hub id of the same spelling, as everywhere.
    """
    if names_a_file(name) or name in _known(task) or is_builtin(name):
        return False
    path = os.path.expanduser(name)
    if os.path.exists(path):
        return os.path.isfile(os.path.join(path, "config.json"))
    return _HUB_ID.fullmatch(name) is not None and not name.endswith(".py")


def _known(task: Task | None) -> dict[str, RewardFunction]:
    known = {
        f"{each.name}.{function.__name__}": function for each in TASKS.values() for function in each.reward_functions
    }
    return known | {function.__name__: function for function in (task.reward_functions if task else ())}


def load_rewards(names: Sequence[str], task: Task | None = None) -> list[RewardFunction]:
    """Return the reward functions of those names; ConfigError if two would share a metric."""
    functions = [load_reward(name, task) for name in names]
    check_distinct([reward_name(function) for function in functions])
    return functions


def check_distinct(names: Sequence[str]) -> None:
    """Raise ConfigError if two reward functions or models share a name."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"two reward functions are called {twice[0]!r}; each needs its own name, since it names the metric"
        )


class Scorer:
    """Calls a fixed list of reward functions; holds the event loop that the async ones among them run on.

    Make one for a run and ``close`` it, or use it in a ``with`` block.
    """

    def __init__(self, functions: Sequence[Callable[..., Any]]) -> None:
        check_distinct([reward_name(function) for function in functions])
        self.functions = {reward_name(function): function for function in functions}
        self._loop = EventLoopThread() if any(map(_is_async, functions)) else None

    def __enter__(self) -> "Scorer":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the event loop, if there is one."""
        if self._loop is not None:
            self._loop.close()
            self._loop = None

    def score(
        self,
        prompts: Sequence[Text],
        completions: Sequence[Text],
        completion_ids: Sequence[Sequence[int]] | None = None,
        columns: Mapping[str, Sequence[Any]] | None = None,
        *,
        trainer_state: Any = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
    ) -> dict[str, list[Reward]]:
        """Return, for each function's name, one Reward per completion; NaN, with its reason, where it does not apply.

        The functions are called by keyword with everything TRL passes, async ones all at once.  Raises RewardError.
        """
        if not prompts:
            return {name: [] for name in self.functions}
        keywords = {
            **{key: list(values) for key, values in (columns or {}).items() if key not in _RESERVED},
            "prompts": list(prompts),
            "completions": list(completions),
            "completion_ids": None if completion_ids is None else [list(ids) for ids in completion_ids],
            "trainer_state": trainer_state,
            "log_extra": log_extra or _ignore,
            "log_metric": log_metric or _ignore,
        }
        returned = self._call_all(keywords)
        return {name: _as_rewards(name, values, len(prompts)) for name, values in returned.items()}

    def _call_all(self, keywords: dict[str, Any]) -> dict[str, Any]:
        returned = {name: None if _is_async(f) else _call(name, f, keywords) for name, f in self.functions.items()}
        if self._loop is not None:
            waiting = {name: f for name, f in self.functions.items() if _is_async(f)}
            returned |= self._loop.run(_call_async(waiting, keywords))
        return returned


def score(
    functions: Sequence[Callable[..., Any]],
    prompts: Sequence[Text],
    completions: Sequence[Text],
    completion_ids: Sequence[Sequence[int]] | None = None,
    columns: Mapping[str, Sequence[Any]] | None = None,
) -> dict[str, list[Reward]]:
    """Return ``Scorer(functions).score(…)`` for a single call.

    >>> score([TASKS["addition"].reward_functions[0]], ["2+3=?"], ["<answer>5</answer>"])
    {'answer': [1.0]}
    """
    with Scorer(functions) as scorer:
        return scorer.score(prompts, completions, completion_ids, columns)


def total_rewards(scores: Mapping[str, Sequence[Reward]], weights: Sequence[float]) -> list[float]:
    """Return each completion's weighted reward without functions that do not apply; NaN where none does, as in TRL.

    Raises RewardError for one that is too large to be compared with others.
    """
    totals = []
    for row in zip(*scores.values(), strict=True):
        terms = [weight * reward for weight, reward in zip(weights, row, strict=True) if reward.is_applicable]
        if any(abs(term) > LARGEST for term in terms):
            raise RewardError(f"a weighted reward is {max(terms, key=abs):g}; it must lie within ±{LARGEST:g}")
        totals.append(math.fsum(terms) if terms else math.nan)
    return totals


def columns_of(examples: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the columns of the rows but ``prompt``, each a list as long as the rows, for ``Scorer.score``."""
    keys = [key for key in (examples[0] if examples else {}) if key != "prompt"]
    return {key: [example.get(key) for example in examples] for key in keys}


def _ignore(name: str, value: Any) -> None:
    """Stand in for TRL's loggers."""


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def _call(name: str, function: Callable[..., Any], keywords: dict[str, Any]) -> Any:
    try:
        return function(**keywords)
    except Exception as error:  # a user's function may raise anything; it is kept as the cause
        raise _raised(name, error, keywords) from error


async def _call_async(functions: Mapping[str, Callable[..., Any]], keywords: dict[str, Any]) -> dict[str, Any]:
    async def call(name: str, function: Callable[..., Any]) -> Any:
        try:
            return await asyncio.ensure_future(function(**keywords))  # a task of its own: it may cancel itself
        except (Exception, asyncio.CancelledError) as error:  # as in _call
            raise _raised(name, error, keywords) from error

    results = await asyncio.gather(*(call(name, function) for name, function in functions.items()))
    return dict(zip(functions, results, strict=True))


def _raised(name: str, error: BaseException, keywords: dict[str, Any]) -> RewardError:
    first = text_of(keywords["prompts"][0])
    return RewardError(f"reward function {name!r} raised {type(error).__name__}: {error} (first prompt {first[:80]!r})")


def _as_rewards(name: str, returned: Any, num_completions: int) -> list[Reward]:
    if isinstance(returned, (str, bytes, Mapping)) or not hasattr(returned, "__iter__"):
        raise RewardError(f"reward function {name!r} returned a {type(returned).__name__}, not a list of numbers")
    try:
        values = list(returned)
    except Exception as error:  # a generator runs its function here
        raise RewardError(f"reward function {name!r} raised {type(error).__name__}: {error}") from error
    if len(values) != num_completions:
        raise RewardError(f"reward function {name!r} returned {len(values)} values for {num_completions} completions")
    return [_as_reward(name, value) for value in values]


def _as_reward(name: str, value: Any) -> Reward:
    if value is None:
        return Reward(math.nan, f"{name} returned None: not applicable")
    number, reason = number_of(value), whole_text(getattr(value, "reason", ""))
    if number is None:
        kind = type(value).__name__
        raise RewardError(f"reward function {name!r} returned {repr(value)[:80]}, a {kind}, not a number")
    if math.isinf(number):
        raise RewardError(f"reward function {name!r} returned {number}, which is not finite")
    if abs(number) > LARGEST:
        raise RewardError(f"reward function {name!r} returned {number:g}; a reward must lie within ±{LARGEST:g}")
    if math.isnan(number):
        return Reward(number, reason or f"{name} returned NaN: not applicable")
    return Reward(number, reason)
