"""What a task is: an endless stream of examples, and the reward functions that score completions of them."""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Protocol

Messages = Sequence[Mapping[str, Any]]
Text = str | Messages
Example = dict[str, Any]


class RewardError(ValueError):
    """A reward function raised, or returned what is not one number per completion, or no steps of it."""


class Reward(float):
    """A reward and the reason for it.  It is a float, so a list of them is what TRL takes from a reward function.

    >>> reward = Reward(0.5, "1 of 2 steps right")
    >>> reward + 1, reward.reason
    (1.5, '1 of 2 steps right')
    """

    reason: str

    def __new__(cls, value: float, reason: str = "") -> "Reward":
        self = super().__new__(cls, value)
        self.reason = reason
        return self

    @property
    def is_applicable(self) -> bool:
        """False when the function had nothing to say about the completion: the value is then NaN."""
        return not math.isnan(self)


class RewardFunction(Protocol):
    """TRL's reward function: called by keyword, one value per completion, None where it does not apply."""

    __name__: str

    def __call__(
        self,
        prompts: Sequence[Text],
        completions: Sequence[Text],
        completion_ids: Sequence[Sequence[int]] | None = None,
        **columns: Any,
    ) -> list[float | None]: ...


ScoreOne = Callable[[str, str, Mapping[str, Any]], Reward | None]


@dataclass(frozen=True)
class StepReward:
    """The reward of one step of a completion, and why.

    The step ends before the character ``end`` of the completion's text and begins where the step before it ended.
    Numbers may be numpy's, or a tensor's only element.
    """

    end: int
    reward: float
    reason: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.end, Integral) or self.end < 0:
            raise ValueError(f"end={self.end!r} is not the index of a character: a whole number of at least 0")
        reward = number_of(self.reward)
        if reward is None or not math.isfinite(reward):
            raise ValueError(f"reward={self.reward} is not a finite number")
        plain = {"end": int(self.end), "reward": reward, "reason": whole_text(self.reason)}
        for name, value in plain.items():
            object.__setattr__(self, name, value)


StepRewards = Callable[[str, str, Mapping[str, Any]], list[StepReward]]


@dataclass(frozen=True)
class Task:
    """A kind of problem whose answers a program can check.

    ``examples(seed)`` is endless and the same for the same seed; each example is a dataset row, and every column but
    ``prompt`` reaches the reward functions.  The reward functions of the bundled tasks lie in [0, 1], so the highest
    total reward is the sum of the weights.  ``read_answer`` is what a person would call the completion's result.
    ``step_rewards(prompt, completion, columns)`` returns the completion's steps in their order, none where it does not
    apply; a task has none of it where nothing before the answer can be right or wrong.  ``demonstrate(example, rng)``
    returns a completion that earns the highest reward; it raises ConfigError where the example is not of this task.
    """

    name: str
    description: str
    description_zh: str
    examples: Callable[[int], Iterator[Example]]
    reward_functions: tuple[RewardFunction, ...]
    reward_weights: tuple[float, ...]
    read_answer: Callable[[str], str | None]
    max_completion_length: int
    step_rewards: StepRewards | None = None
    demonstrate: Callable[[Example, random.Random], str] | None = None

    def __post_init__(self) -> None:
        assert len(self.reward_functions) == len(self.reward_weights), f"{self.name}: one weight per reward function"

    @property
    def max_reward(self) -> float:
        """The weighted reward of a faultless completion."""
        return sum(self.reward_weights)


def number_of(value: Any) -> float | None:
    """Return a number, numpy's bool or a tensor's only element as a float; None if it is none of them."""
    try:
        number = value if isinstance(value, Real) else value.item()
        return float(number) if isinstance(number, Real) else None
    except OverflowError:  # of an integer beyond all floats
        return math.inf
    except Exception:  # whatever a foreign object's own `item` raises, if it has one
        return None


def whole_text(value: Any) -> str:
    """Return a reason as text that any file takes: halves of surrogate pairs become question marks.

    >>> whole_text("no digit"), whole_text(ValueError("no digit")), whole_text(None)
    ('no digit', 'no digit', '')
    """
    return "" if value is None else str(value).encode(errors="replace").decode()


def text_of(text: Text) -> str:
    """Return a prompt or completion as one string: itself, or the content of its last message.

    >>> text_of([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "25+73=?"}])
    '25+73=?'
    """
    if isinstance(text, str):
        return text
    if not text:
        return ""
    content = text[-1].get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or "" for part in content)


def reward_function(name: str) -> Callable[[ScoreOne], RewardFunction]:
    """Return a decorator: from the score of one completion to a TRL reward function whose metric is called ``name``.

    The decorated function takes the prompt's text, the completion's text and the row's other columns.
    """

    def decorate(score_one: ScoreOne) -> RewardFunction:
        def score_all(
            prompts: Sequence[Text],
            completions: Sequence[Text],
            completion_ids: Sequence[Sequence[int]] | None = None,
            **columns: Any,
        ) -> list[float | None]:
            per_row = {key: values for key, values in columns.items() if isinstance(values, (list, tuple))}
            rows = [{key: values[index] for key, values in per_row.items()} for index in range(len(prompts))]
            return [
                score_one(text_of(prompt), text_of(completion), row)
                for prompt, completion, row in zip(prompts, completions, rows, strict=True)
            ]

        score_all.__name__ = score_all.__qualname__ = name
        score_all.__doc__ = score_one.__doc__
        return score_all

    return decorate
