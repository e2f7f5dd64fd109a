"""What the pictures of a loss say: which marks there are, where words go, and the summary in their titles."""

import numpy as np

from workbench.views import clipplane as cp
from workbench.views.clipplane import Marks
from workbench.views.objectives import WEIGHTS, Curve
from workbench.views.words import word

KINDS = (cp.MASKED, cp.LIVE, cp.OUTSIDE, cp.DEAD)
NAMES = {cp.MASKED: "masked", cp.LIVE: "learning", cp.OUTSIDE: "at_cap", cp.DEAD: "zero_gradient"}
CLIP_NAMES = NAMES | {cp.LIVE: "live", cp.OUTSIDE: "outside"}


def in_two_lines(sentence: str) -> str:
    """Return `sentence` broken after its colon or first comma: half a panel's width is all it has.

    >>> in_two_lines("8 equal rewards, so A = 0: no gradient from them")
    '8 equal rewards,<br>so A = 0: no gradient from them'
    """
    for mark in ("：", ": first", ": one", "，", ", "):
        if mark in sentence:
            before, after = sentence.split(mark[0], 1)
            return f"{before}{mark[0]}<br>{after.strip()}"
    return sentence


def clip_summary(marks: Marks, curve: Curve, num_updates: int, update: int, lang: str) -> str:
    """Return how many tokens lost their gradient, or what the loss does in place of that, in words."""
    dead, out = int((marks.kind == cp.DEAD).sum()), int((marks.kind == cp.OUTSIDE).sum())
    names = {"clip": "summary", "cap": "summary_cap"}
    if curve.is_by_completion:
        names = {"clip": "summary_completions"}
    name = names.get(curve.form, "summary_whole" if curve.is_by_completion else "summary_plain")
    words = [word(name, lang, dead=dead, out=out, n=len(marks))] if len(marks) else []
    if marks.num_nan:
        words.append(word("not_a_number", lang, n=marks.num_nan))
    words.append(word("inner_update", lang, k=update % num_updates + 1, n=num_updates))
    return " · ".join(words)


def region_of_words(curve: Curve, sign: int, reach: float) -> tuple[float, float, str]:
    """Return the range of ratios that has words of its own, and which."""
    least, most, bounds = float(np.exp(-reach)), float(np.exp(reach)), curve.bounds
    if curve.form == "clip":
        return (least, bounds.low, "outside") if sign > 0 else (bounds.high, min(bounds.cap, most), "outside")
    ends = curve.value(np.exp(np.array([-0.7 * reach, 0.7 * reach])), sign)
    return (least, 1.0, f"{curve.form}_note") if ends[0] < ends[1] else (1.0, most, f"{curve.form}_note")


def value_range(values: np.ndarray, curve: Curve) -> tuple[float, float]:
    """Return the lowest and the highest value to draw: a gradient's weight is read against zero."""
    ends = [float(values.min()), float(values.max())]
    if curve.form in WEIGHTS:
        ends.append(0.0)
    return min(ends), max(max(ends), min(ends) + 1e-9)


def legend_kinds(marks: Marks, curve: Curve) -> list[tuple[int, str]]:
    """Return the kinds of marks that this loss can have, with the names of their words."""
    if curve.form == "clip":
        kinds = [(kind, CLIP_NAMES[kind]) for kind in (cp.LIVE, cp.OUTSIDE, cp.DEAD)]
    else:
        kinds = [(kind, NAMES[kind]) for kind in (cp.LIVE, *((cp.OUTSIDE,) if curve.form == "cap" else ()))]
    return [*kinds, *([(cp.MASKED, NAMES[cp.MASKED])] if (marks.kind == cp.MASKED).any() else [])]
