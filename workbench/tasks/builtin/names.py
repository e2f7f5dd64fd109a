"""TRL's built-in rewards by their names; those that TRL makes with arguments are written as a call."""

import ast
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, cast

from workbench.errors import ConfigError
from workbench.tasks.base import RewardFunction
from workbench.tasks.builtin.accuracy import AccuracyReward, CosineScaledReward, ReasoningAccuracyReward
from workbench.tasks.builtin.shape import RepetitionPenalty, SoftOverlongPunishment, think_format_reward

Make = Callable[..., Any]

PLAIN: Mapping[str, Make] = MappingProxyType(
    {
        "think_format_reward": lambda: think_format_reward,
        "accuracy_reward": AccuracyReward,
        "reasoning_accuracy_reward": ReasoningAccuracyReward,
    }
)
FACTORIES: Mapping[str, Make] = MappingProxyType(
    {
        "get_cosine_scaled_reward": CosineScaledReward,
        "get_repetition_penalty_reward": RepetitionPenalty,
        "get_soft_overlong_punishment": SoftOverlongPunishment,
    }
)
EXAMPLES: Mapping[str, str] = MappingProxyType(
    {
        "get_cosine_scaled_reward": "get_cosine_scaled_reward(max_len=48)",
        "get_repetition_penalty_reward": "get_repetition_penalty_reward(ngram_size=3, max_penalty=-1.0)",
        "get_soft_overlong_punishment": "get_soft_overlong_punishment(max_completion_len=48, soft_punish_cache=16)",
    }
)
BUILTIN_REWARDS: tuple[str, ...] = (*PLAIN, *EXAMPLES.values())  # as they may be written
NEEDS_MATH_VERIFY = frozenset({"accuracy_reward", "reasoning_accuracy_reward", "get_cosine_scaled_reward"})
MAX_LENGTH = 500


def load_builtin(name: str) -> RewardFunction | None:
    """Return TRL's reward of that name, made anew, or None where the name is not one of TRL's.

    A factory is written with its arguments, ``get_cosine_scaled_reward(max_len=48)``; without brackets it gets TRL's
    defaults.  Its metric has the name that TRL gives it.  Raises ConfigError.

    >>> load_builtin("get_soft_overlong_punishment(48, soft_punish_cache=16)")
    SoftOverlongPunishment(max_completion_len=48, soft_punish_cache=16)
    """
    if not is_builtin(name):
        return None
    known, is_call = _bare(name), "(" in name
    if known in PLAIN and is_call:
        raise ConfigError(f"reward={name!r}: {known} takes no arguments; write it without brackets")
    if known in NEEDS_MATH_VERIFY and importlib.util.find_spec("math_verify") is None:
        raise ConfigError(f"reward={name!r} needs the library math_verify: pip install -r requirements.txt brings it")
    if known in PLAIN:
        return cast(RewardFunction, PLAIN[known]())
    return cast(RewardFunction, _make(known, name, *(_arguments(known, name) if is_call else ([], {}))))


def is_builtin(name: str) -> bool:
    """True for the name of one of TRL's rewards, with or without arguments, whether they are right or not."""
    return _bare(name) in PLAIN.keys() | FACTORIES.keys()


def _bare(name: str) -> str:
    return name.partition("(")[0].strip()


def _arguments(known: str, name: str) -> tuple[list[Any], dict[str, Any]]:
    """Return the call's arguments, by place and by name; only literals are read, nothing is run."""
    try:
        call = ast.parse(name.strip() if len(name) <= MAX_LENGTH else "", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # what ast raises for texts that are not Python
        call = None
    is_call = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == known
    if not is_call:
        raise ConfigError(f"reward={name[:MAX_LENGTH]!r} cannot be read; write it as {EXAMPLES[known]}")
    assert isinstance(call, ast.Call)
    by_place = [_literal(f"argument {index}", node, name) for index, node in enumerate(call.args, start=1)]
    names = [each.arg or "**" for each in call.keywords]
    twice = [each for each in names if names.count(each) > 1]
    if twice:
        raise ConfigError(f"reward={name!r}: {twice[0]} is given twice")
    return by_place, {each: _literal(each, node.value, name) for each, node in zip(names, call.keywords, strict=True)}


def _literal(what: str, node: ast.expr, name: str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise ConfigError(f"reward={name!r}: {what} is {ast.unparse(node)!r}, not a number written out") from error


def _make(known: str, name: str, by_place: list[Any], by_name: dict[str, Any]) -> Any:
    signature = inspect.signature(FACTORIES[known])
    misfit = _misfit(signature, by_place, by_name)
    if misfit:
        allowed = ", ".join(signature.parameters)
        raise ConfigError(f"reward={name!r}: {misfit}; it takes {allowed}, as in {EXAMPLES[known]}")
    try:
        return FACTORIES[known](*by_place, **by_name)
    except ConfigError as error:
        raise ConfigError(f"reward={name!r}: {error}") from error


def _misfit(signature: inspect.Signature, by_place: list[Any], by_name: dict[str, Any]) -> str:
    unknown = [each for each in by_name if each not in signature.parameters]
    if unknown:
        return f"there is no argument {unknown[0]!r}"
    try:
        signature.bind(*by_place, **by_name)
    except TypeError as error:
        return str(error)
    return ""
