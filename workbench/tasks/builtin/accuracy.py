"""Rewards for the right answer, read and compared by the library math_verify; the dataset's column ``solution`` has it.

A completion's answer is read only where it is marked as mathematics (``\\boxed{…}``, ``$…$``).  None where the solution
itself cannot be read: TRL leaves such a row out.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from workbench.tasks.base import Reward, Text
from workbench.tasks.builtin.arguments import check_number, check_whole
from workbench.tasks.builtin.text import first_text
from workbench.tasks.builtin.verifier import MathVerifier, Verdict

LogExtra = Callable[[str, list[Any]], None]
_INCOMPLETE = Verdict("[incomplete reasoning]", "[incomplete reasoning]", False)


@dataclass(frozen=True)
class AccuracyReward:
    """1 when the completion's answer equals the solution as mathematics, else 0."""

    verifier: MathVerifier = field(default_factory=MathVerifier)
    __name__: ClassVar[str] = "accuracy_reward"

    def __call__(
        self,
        completions: Sequence[Text],
        solution: Sequence[Any] | None = None,
        log_extra: LogExtra | None = None,
        **rest: Any,
    ) -> list[Reward | None]:
        verdicts = [
            self.verifier.verify(first_text(completion), right)
            for completion, right in zip(completions, _required(solution, "solution", self.__name__), strict=True)
        ]
        return _rewards(verdicts, solution, log_extra)


@dataclass(frozen=True)
class ReasoningAccuracyReward:
    """As AccuracyReward, of what follows the last ``</think>``; 0 when the reasoning never ends.

    ``reasoning_delimiters`` may name other ends; the first of them that occurs counts.
    """

    verifier: MathVerifier = field(default_factory=MathVerifier)
    __name__: ClassVar[str] = "reasoning_accuracy_reward"

    def __call__(
        self,
        completions: Sequence[Text],
        solution: Sequence[Any] | None = None,
        reasoning_delimiters: Sequence[str] | None = None,
        log_extra: LogExtra | None = None,
        **rest: Any,
    ) -> list[Reward | None]:
        delimiters = ["</think>"] if reasoning_delimiters is None else reasoning_delimiters
        verdicts = []
        for completion, right in zip(completions, _required(solution, "solution", self.__name__), strict=True):
            content = first_text(completion)
            end = next((delimiter for delimiter in delimiters if delimiter in content), None)
            final = None if end is None else content.rpartition(end)[2]
            verdicts.append(_INCOMPLETE if final is None else self.verifier.verify(final, right))
        return _rewards(verdicts, solution, log_extra)


@dataclass(frozen=True)
class CosineScaledReward:
    r"""A right answer earns less the longer it is, a wrong one loses less: half a cosine over $l = \min(|y|/L, 1)$.

    $v_L + (v_0 - v_L)(1 + \cos \pi l) / 2$, with $v_0$ the value at length 0 and $v_L$ that at $L$ = ``max_len`` tokens
    and beyond: ``max_value_correct`` and ``min_value_correct`` for a right answer, ``min_value_wrong`` and
    ``max_value_wrong`` for a wrong one.  Raises ConfigError.  Source: appendix C.1 of https://arxiv.org/abs/2502.03373
    """

    max_len: int
    min_value_wrong: float = -1.0
    max_value_wrong: float = -0.5
    min_value_correct: float = 0.5
    max_value_correct: float = 1.0
    accuracy: AccuracyReward = field(default_factory=AccuracyReward, init=False, repr=False)
    __name__: ClassVar[str] = "cosine_scaled_reward"

    def __post_init__(self) -> None:
        check_whole("max_len", self.max_len, low=1)
        for name in ("min_value_wrong", "max_value_wrong", "min_value_correct", "max_value_correct"):
            check_number(name, getattr(self, name))

    def __call__(
        self,
        completions: Sequence[Text],
        solution: Sequence[Any] | None = None,
        completion_ids: Sequence[Sequence[int]] | None = None,
        **rest: Any,
    ) -> list[Reward | None]:
        required_ids = _required(completion_ids, "completion_ids", self.__name__)
        accuracies = self.accuracy(completions, _required(solution, "solution", self.__name__))
        return [
            None if accuracy is None else self._scaled(accuracy, len(ids))
            for accuracy, ids in zip(accuracies, required_ids, strict=True)
        ]

    def _scaled(self, accuracy: Reward, length: int) -> Reward:
        shortest, longest = self.min_value_wrong, self.max_value_wrong
        if accuracy:
            shortest, longest = self.max_value_correct, self.min_value_correct
        cosine = math.cos(math.pi * min(length / self.max_len, 1.0))
        value = longest + 0.5 * (shortest - longest) * (1.0 + cosine)
        return Reward(value, f"{accuracy.reason}; {length} of {self.max_len} tokens")


def _required(values: Sequence[Any] | None, name: str, function: str) -> Sequence[Any]:
    if values is None:
        raise ValueError(f"{function} needs {name!r}, one for each completion")
    return values


def _rewards(verdicts: Sequence[Verdict], solution: Any, log_extra: LogExtra | None) -> list[Reward | None]:
    if log_extra is not None:
        log_extra("solution", list(solution))
        log_extra("gold_parsed", [verdict.gold or "[unparseable]" for verdict in verdicts])
        log_extra("answer_parsed", [_shown_answer(verdict) for verdict in verdicts])
    return [None if verdict.gold is None else Reward(verdict.is_right, _reason(verdict)) for verdict in verdicts]


def _shown_answer(verdict: Verdict) -> str:
    return "[skipped]" if verdict.gold is None else verdict.answer or "[unparseable]"


def _reason(verdict: Verdict) -> str:
    if verdict is _INCOMPLETE:
        return "the reasoning never ends"
    if verdict.trouble:
        return verdict.trouble
    if verdict.answer is None:
        return "no answer marked as mathematics"
    return f"read {verdict.answer[:60]}, wanted {(verdict.gold or '')[:60]}"
