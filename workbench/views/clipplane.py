"""Where the tokens of a group lie on the curve of their loss: what the clip plot and the ratio histogram draw."""

from dataclasses import dataclass, replace
from math import inf, log

import numpy as np
from numpy.typing import NDArray

from workbench.run.completion import CompletionRecord, GroupRecord
from workbench.views.objectives import Bounds, Curve, sequence_log_ratio
from workbench.views.words import word

# inside the band; outside it but learning (CISPO: above the cap); the clip made the gradient zero; a mask left it out
LIVE, OUTSIDE, DEAD, MASKED = range(4)
SIGNS = (1, -1)
WIDEST = log(3)  # a ratio further from 1 is off scale
WIDEST_OF_SEQUENCES = log(20)
NARROW = 0.05  # a band within this of 1 is looked at through a lens
LETTER = 0.03  # of the axis to either side of 1: about how wide a letter of a label is
SAME = 1e-6  # of a log-ratio: float32's rounding of two equal log-probabilities


@dataclass(frozen=True)
class Marks:
    """The tokens of a group that have a ratio and an advantage, N of them; `num_nan` others have no ratio."""

    log_ratio: NDArray[np.float64]
    sign: NDArray[np.int64]  # of the advantage
    kind: NDArray[np.int64]  # LIVE, OUTSIDE, DEAD or MASKED
    completion: NDArray[np.int64]
    token: NDArray[np.int64]
    num_nan: int = 0

    def where(self, chosen: NDArray[np.bool_]) -> "Marks":
        return Marks(
            self.log_ratio[chosen], self.sign[chosen], self.kind[chosen], self.completion[chosen], self.token[chosen]
        )

    def __len__(self) -> int:
        return len(self.log_ratio)


def inner_update(completions: tuple[CompletionRecord, ...], update: int) -> int:
    """Return `update` counted from 0; raise IndexError, naming what there is, if there is no such inner update."""
    num_updates = len(completions[0].logps_by_update) if completions else 0
    if not -num_updates <= update < num_updates:
        raise IndexError(f"update={update}, but the step made {num_updates}: 0 to {num_updates - 1}, or negative")
    return update % num_updates


def token_marks(group: GroupRecord, update: int = -1) -> Marks:
    """Return the tokens of `group` as inner update `update` saw them, one a completion where it has but one ratio.

    A token of A = 0 has no place in the plot.
    """
    index = inner_update(group.completions, update)
    with np.errstate(divide="ignore"):
        rows = [_completion_marks(number, c, index) for number, c in enumerate(group.completions)]
    columns = [np.concatenate(parts) for parts in zip(*rows, strict=True)] if rows else [np.zeros(0)] * 5
    log_ratio, (sign, kind, completion, token) = columns[0], (column.astype(np.int64) for column in columns[1:])
    marks = Marks(log_ratio, sign, kind, completion, token)
    marks = marks.where(marks.sign != 0)
    known = ~np.isnan(marks.log_ratio)
    return replace(marks.where(known), num_nan=int((~known).sum()))


def _completion_marks(number: int, c: CompletionRecord, index: int) -> tuple[np.ndarray, ...]:
    curve = Curve(c.knobs)
    length = min(1, len(c.token_ids)) if curve.form == "phi" or c.shares_ratio else len(c.token_ids)
    clipped, outside = c.clipped_by_update[index], c.outside_by_update[index]
    masked = ~c.kept_by_update[index] | c.is_masked
    kind = np.where(masked, MASKED, np.where(clipped, DEAD, np.where(outside, OUTSIDE, LIVE)))
    return (
        _log_ratios(c, index, curve)[:length],
        np.sign(c.token_advantages)[:length],
        kind[:length],
        np.full(length, number),
        np.arange(length),
    )


def _log_ratios(c: CompletionRecord, index: int, curve: Curve) -> NDArray[np.float64]:
    if curve.form == "phi":
        moved = (c.logps_by_update[index] - c.old_logps).astype(np.float64)
        return np.full(len(c.token_ids), sequence_log_ratio(moved))
    return np.log(c.ratio_by_update[index].astype(np.float64))


def log_reach(marks: Marks, curve: Curve) -> float:
    """Return how far the log-ratio axis goes to either side of 0: nearly every token, and what the loss names."""
    widest = float(np.abs(marks.log_ratio[np.isfinite(marks.log_ratio)]).max(initial=0.0))
    if curve.form == "phi":
        return max(WIDEST, min(widest + 0.15, WIDEST_OF_SEQUENCES))
    if curve.form == "clip":
        return _reach_of_band(widest, curve.bounds)
    reach = max(log(2 if curve.form == "gate" else 1.41), min(widest + 0.058, WIDEST))
    return reach if curve.cap is None else max(reach, min(log(max(curve.cap, 1e-3)) + 0.25, WIDEST_OF_SEQUENCES))


def _reach_of_band(widest: float, bounds: Bounds) -> float:
    inner = max(log(bounds.high), -log(max(bounds.low, 0.05)))
    if inner < NARROW:
        return min(max(2.2 * inner, 1.15 * widest, 1e-4), WIDEST)
    band = max(log(1.41), 2 * log(bounds.high), log(bounds.high * 1.08), 1.25 * inner)
    return max(band, min(widest + 0.058, WIDEST))


def why_no_curve(method: str, lang: str) -> str | None:
    """Return why the method has no curve over the ratio; None if it has."""
    if method in ("grpo", "ppo"):
        return None
    return word("no_ratio", lang, method=method.replace("_", " ").upper())


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


@dataclass(frozen=True)
class Tick:
    """A ratio to label on the axis; a name that would lie on the "1" leans away from it, to the left (-1) or right."""

    ratio: float
    text: str
    lean: int = 0

    def span(self, reach: float) -> tuple[float, float]:
        """Return where the label begins and ends, in parts of the `reach`."""
        half = LETTER * len(self.text) / 2
        middle = log(self.ratio) / reach + self.lean * (half + LETTER)
        return middle - half, middle + half


def ratio_ticks(curve: Curve, reach: float) -> list[Tick]:
    """Return the ratios to label on the axis: 1, those that the loss names, and round ones that leave them room.

    >>> from workbench.run.knobs import Knobs
    >>> [tick.text for tick in ratio_ticks(Curve(Knobs(epsilon=0.2)), 0.5)]
    ['1', '1−ε', '1+ε', '0.67', '1.5', '1.33']
    >>> [(tick.text, tick.lean) for tick in ratio_ticks(Curve(Knobs(epsilon=0.05)), 1.0)]
    [('1', 0), ('1−ε', -1), ('1+ε', 1), ('0.5', 0), ('0.67', 0), ('1.5', 0), ('2', 0)]
    """
    kept = [Tick(1.0, "1"), *(Tick(r, text, _lean(r, text, reach)) for r, text in named_ratios(curve) if r > 0)]
    for r in (0.35, 0.5, 0.67, 1.5, 2.0, 2.8, 0.75, 1.33, 5.0, 10.0, 0.2, 0.1):
        tick = Tick(r, f"{r:g}")
        if abs(log(r)) < reach * 0.95 and all(_are_apart(tick.span(reach), other.span(reach)) for other in kept):
            kept.append(tick)
    return kept


def _lean(ratio: float, text: str, reach: float) -> int:
    if abs(log(ratio)) / reach > LETTER * (len(text) + 3) / 2:
        return 0
    return -1 if ratio < 1 or "−" in text else 1


def _are_apart(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return max(one[0], other[0]) - min(one[1], other[1]) > 3 * LETTER


def named_ratios(curve: Curve) -> list[tuple[float, str]]:
    """Return the ratios that the loss itself names: the ends of the band, or the cap.

    >>> from workbench.run.knobs import Knobs
    >>> [text for _, text in named_ratios(Curve(Knobs(epsilon=0.2, epsilon_high=0.28)))]
    ['1−ε', '1+ε_high']
    """
    if curve.form == "clip":
        is_high_its_own = curve.knobs.epsilon_high not in (None, curve.knobs.epsilon)
        return [(curve.bounds.low, "1−ε"), (curve.bounds.high, "1+ε_high" if is_high_its_own else "1+ε")]
    return [] if curve.cap is None else [(curve.cap, f"{curve.cap:g}")]
