"""Rewards that need no right answer: the form of the thinking, the length, the repetition."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from workbench.tasks.base import Reward, Text
from workbench.tasks.builtin.arguments import check_number, check_whole
from workbench.tasks.builtin.text import first_text


def think_format_reward(completions: Sequence[Text], **rest: Any) -> list[Reward]:
    """1 when the completion begins with ``<think>``, opens it only once and closes it; else 0.

    >>> think_format_reward(["<think>3+4=7</think>7", "3+4=7</think>7"])
    [1.0, 0.0]
    """
    return [_think_format(first_text(completion)) for completion in completions]


def _think_format(completion: str) -> Reward:
    opening = "<think>"
    rest = completion.removeprefix(opening)
    if not completion.startswith(opening):
        return Reward(0.0, "does not begin with <think>")
    if opening in rest:
        return Reward(0.0, "opens <think> more than once")
    if "</think>" not in rest:
        return Reward(0.0, "never closes </think>")
    return Reward(1.0, "<think>…</think> stands at the beginning")


@dataclass(frozen=True)
class SoftOverlongPunishment:
    r"""0 up to $L_{max} - L_{cache}$ tokens, falling in a straight line to -1 at $L_{max}$, and -1 beyond.

    $L_{max}$ is ``max_completion_len``, $L_{cache}$ is ``soft_punish_cache``, both in tokens; with a cache of 0 the
    reward falls at once.  Raises ConfigError.  Source: DAPO, equation 13, https://arxiv.org/abs/2503.14476

    >>> SoftOverlongPunishment(10, 4)([[0] * 6, [0] * 8, [0] * 10, [0] * 11])
    [0.0, -0.5, -1.0, -1.0]
    """

    max_completion_len: int
    soft_punish_cache: int
    __name__: ClassVar[str] = "soft_overlong_punishment_reward"

    def __post_init__(self) -> None:
        check_whole("max_completion_len", self.max_completion_len, low=1)
        check_whole("soft_punish_cache", self.soft_punish_cache, low=0)

    def __call__(self, completion_ids: Sequence[Sequence[int]], **rest: Any) -> list[Reward]:
        return [self._punishment(len(ids)) for ids in completion_ids]

    def _punishment(self, length: int) -> Reward:
        unpunished = self.max_completion_len - self.soft_punish_cache
        if length <= unpunished:
            return Reward(0.0, f"{length} tokens, at most {unpunished}")
        if length > self.max_completion_len:
            return Reward(-1.0, f"{length} tokens, more than {self.max_completion_len}")
        punishment = (unpunished - length) / self.soft_punish_cache
        return Reward(punishment, f"{length} tokens, {length - unpunished} of {self.soft_punish_cache} into the cache")


@dataclass(frozen=True)
class RepetitionPenalty:
    r"""The share of the completion's n-grams of tokens that repeat an earlier one, times ``max_penalty``.

    $(1 - \#distinct / \#all) \cdot p$; 0 for fewer than ``ngram_size`` tokens.  Raises ConfigError.
    Source: appendix C.2 of https://arxiv.org/abs/2502.03373

    >>> RepetitionPenalty(ngram_size=2)([[1, 2, 3], [5, 5, 5, 5, 5]])
    [0.0, -0.75]
    """

    ngram_size: int = 3
    max_penalty: float = -1.0
    __name__: ClassVar[str] = "repetition_penalty_reward"

    def __post_init__(self) -> None:
        check_whole("ngram_size", self.ngram_size, low=1)
        check_number("max_penalty", self.max_penalty, high=0.0)

    def __call__(self, completion_ids: Sequence[Sequence[int]], **rest: Any) -> list[Reward]:
        return [self._penalty(tuple(ids)) for ids in completion_ids]

    def _penalty(self, ids: tuple[int, ...]) -> Reward:
        ngrams = [ids[start : start + self.ngram_size] for start in range(len(ids) - self.ngram_size + 1)]
        num_repeated = len(ngrams) - len(set(ngrams))
        if not num_repeated:
            return Reward(0.0, f"no {self.ngram_size} tokens in a row are repeated")
        penalty = (1 - len(set(ngrams)) / len(ngrams)) * self.max_penalty
        return Reward(penalty, f"{num_repeated} of {len(ngrams)} runs of {self.ngram_size} tokens are repeats")
