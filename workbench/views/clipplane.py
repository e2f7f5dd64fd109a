"""Where the tokens of a group lie under the clipped objective: what the clip plot and the ratio histogram draw."""

from dataclasses import dataclass, replace
from math import inf, log

import numpy as np
from numpy.typing import NDArray

from workbench.run.knobs import Knobs
from workbench.run.record import CompletionRecord, GroupRecord
from workbench.views.words import word

LIVE, OUTSIDE, DEAD = range(3)  # inside the band; outside it but learning; gradient made zero by the clip
SIGNS = (1, -1)
WIDEST = log(3)  # a ratio further from 1 is off scale
SAME = 1e-6  # of a log-ratio: float32's rounding of two equal log-probabilities


@dataclass(frozen=True)
class Bounds:
    """The trust band and the cap of the ratio (infinite when δ is off)."""

    low: float
    high: float
    cap: float

    @classmethod
    def of(cls, knobs: Knobs) -> "Bounds":
        high = knobs.epsilon if knobs.epsilon_high is None else knobs.epsilon_high
        return cls(1 - knobs.epsilon, 1 + high, inf if knobs.delta is None else knobs.delta)


@dataclass(frozen=True)
class Marks:
    """The tokens of a group that have a ratio and an advantage, N of them; `num_nan` others have no ratio."""

    log_ratio: NDArray[np.float64]
    sign: NDArray[np.int64]  # of the advantage
    kind: NDArray[np.int64]  # LIVE, OUTSIDE or DEAD
    completion: NDArray[np.int64]
    token: NDArray[np.int64]
    num_nan: int = 0

    def where(self, chosen: NDArray[np.bool_]) -> "Marks":
        return Marks(
            self.log_ratio[chosen], self.sign[chosen], self.kind[chosen], self.completion[chosen], self.token[chosen]
        )

    def __len__(self) -> int:
        return len(self.log_ratio)


def objective(ratio: NDArray[np.float64], sign: int, bounds: Bounds) -> NDArray[np.float64]:
    """Return the clipped surrogate divided by |A|: `workbench.grpo.clipped_surrogate` at A = `sign`.

    >>> objective(np.array([0.5, 1.0, 1.5]), -1, Bounds(0.8, 1.2, inf)).tolist()
    [-0.8, -1.0, -1.5]
    """
    return np.minimum(np.minimum(ratio, bounds.cap) * sign, np.clip(ratio, bounds.low, bounds.high) * sign)


def flat_ranges(sign: int, bounds: Bounds) -> list[tuple[float, float]]:
    """Return the ranges of the ratio in which the objective is flat, so that a token there has no gradient.

    >>> flat_ranges(1, Bounds(0.8, 1.2, inf)), flat_ranges(-1, Bounds(0.8, 1.2, 2.0))
    ([(1.2, inf)], [(0.0, 0.8), (2.0, inf)])
    """
    if sign > 0:
        return [(min(bounds.high, bounds.cap), inf)]
    capped = [] if bounds.cap == inf else [(max(bounds.high, bounds.cap), inf)]
    return [(0.0, bounds.low), *capped]


def inner_update(completions: tuple[CompletionRecord, ...], update: int) -> int:
    """Return `update` counted from 0; raise IndexError, naming what there is, if there is no such inner update."""
    num_updates = len(completions[0].logps_by_update) if completions else 0
    if not -num_updates <= update < num_updates:
        raise IndexError(f"update={update}, but the step made {num_updates}: 0 to {num_updates - 1}, or negative")
    return update % num_updates


def token_marks(group: GroupRecord, update: int = -1) -> Marks:
    """Return the tokens of `group` as inner update `update` saw them. A token of A = 0 has no place in the plot."""
    index = inner_update(group.completions, update)
    with np.errstate(divide="ignore"):
        rows = [_completion_marks(number, c, index) for number, c in enumerate(group.completions) if c.advantage]
    columns = [np.concatenate(parts) for parts in zip(*rows, strict=True)] if rows else [np.zeros(0)] * 5
    log_ratio, (sign, kind, completion, token) = columns[0], (column.astype(np.int64) for column in columns[1:])
    marks = Marks(log_ratio, sign, kind, completion, token)
    known = ~np.isnan(log_ratio)
    return replace(marks.where(known), num_nan=int((~known).sum()))


def _completion_marks(number: int, c: CompletionRecord, index: int) -> tuple[np.ndarray, ...]:
    clipped, outside = c.clipped_by_update[index], c.outside_by_update[index]
    length = len(c.token_ids)
    return (
        np.log(c.ratio_by_update[index].astype(np.float64)),
        np.full(length, np.sign(c.advantage)),
        np.where(clipped, DEAD, np.where(outside, OUTSIDE, LIVE)),
        np.full(length, number),
        np.arange(length),
    )


def log_reach(marks: Marks, bounds: Bounds) -> float:
    """Return how far the log-ratio axis goes to either side of 0: the band, and nearly every token, are on it."""
    widest = float(np.abs(marks.log_ratio[np.isfinite(marks.log_ratio)]).max(initial=0.0))
    band = max(log(1.41), 2 * log(bounds.high), log(bounds.high * 1.08), -1.25 * log(max(bounds.low, 0.05)))
    return max(band, min(widest + 0.058, WIDEST))


def why_empty(group: GroupRecord, marks: Marks, lang: str) -> str | None:
    """Return why no token can be drawn; None if some can."""
    if len(marks) or marks.num_nan:
        return None
    if not any(len(c.token_ids) for c in group.completions):
        return word("no_tokens", lang)
    if all(c.reward is None for c in group.completions):
        return word("no_reward", lang)
    return word("dead_group", lang, n=len(group.completions))


def why_all_one(marks: Marks, num_updates: int, lang: str) -> str | None:
    """Return why every ratio is 1, if it is."""
    if not len(marks) or np.abs(marks.log_ratio).max() > SAME:
        return None
    return word("all_one_mu" if num_updates == 1 else "all_one", lang)


def stacked(
    x: NDArray[np.float64], y: NDArray[np.float64], *, close: float, pitch: float, lowest: float
) -> NDArray[np.float64]:
    """Return `y` with marks closer than `close` in x put below one another, `pitch` apart, so that each can be counted.

    >>> stacked(np.array([0.0, 0.1, 5.0]), np.ones(3), close=1.0, pitch=0.25, lowest=0.0).tolist()
    [1.0, 0.75, 1.0]
    """
    placed, start, level = y.copy(), -inf, 0
    for i in np.argsort(x, kind="stable"):
        level = level + 1 if x[i] - start < close else 0
        start = start if level else x[i]
        room = max(1, int((y[i] - lowest) / pitch))
        placed[i] = y[i] - (level % room) * pitch
    return placed


def ratio_ticks(bounds: Bounds, reach: float) -> list[tuple[float, str]]:
    """Return the ratios to label on the axis: 1, the ends of the band by name, and round ones that leave them room.

    >>> [text for _, text in ratio_ticks(Bounds(0.8, 1.2, inf), 0.5)]
    ['1', '1−ε', '1+ε', '0.67', '1.5', '1.33']
    """
    named = [(1.0, "1"), (bounds.low, "1−ε"), (bounds.high, "1+ε")]
    kept = [(r, text) for r, text in named if r > 0 and (text == "1" or abs(log(r)) > reach / 9)]
    for r in (0.35, 0.5, 0.67, 1.5, 2.0, 2.8, 0.75, 1.33):
        if abs(log(r)) < reach * 0.95 and all(abs(log(r / q)) > reach / 5 for q, _ in kept):
            kept.append((r, f"{r:g}"))
    return kept
