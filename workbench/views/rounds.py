"""Where a learned reward was trained anew, drawn across every panel of a figure over steps."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.views.theme import Theme
from workbench.views.words import word

CLOSEST_LABELS = 0.06  # of the steps' width: nearer numbers would run into one another


def round_starts(rows: Sequence[Mapping[str, Any]]) -> list[tuple[int, int]]:
    """Return each later round's number and first step.

    >>> round_starts([{"step": s, "metrics": {"round": r}} for s, r in ((1, 1), (2, 1), (3, 2))])
    [(2, 3)]
    """
    rounds = [(int(row["metrics"].get("round") or 0), row["step"]) for row in rows]
    return [(new, step) for (old, _), (new, step) in itertools.pairwise(rounds) if new > old > 0]


def round_shapes(starts: Sequence[tuple[int, int]], axes: Sequence[str], colours: Theme) -> list[dict[str, Any]]:
    """Return a thin solid line a round in all panels."""
    stroke = {"color": colours.line2, "width": 1}
    return [
        {"type": "line", "x0": step, "x1": step, "y0": 0, "y1": 1, "line": stroke, "layer": "below"}
        | {"xref": f"x{axis}", "yref": f"y{axis} domain"}
        for axis in axes
        for _, step in starts
    ]


def round_labels(
    starts: Sequence[tuple[int, int]], axis: str, steps: Sequence[int], colours: Theme, lang: str
) -> list[dict[str, Any]]:
    """Return the rounds' numbers at the foot of one panel, those that have room."""
    notes: list[dict[str, Any]] = []
    for number, step in starts:
        if notes and step - notes[-1]["x"] < CLOSEST_LABELS * max(steps[-1] - steps[0], 1):
            continue
        text = word("round", lang, n=number) if not notes else str(number)
        place = {"xref": f"x{axis}", "yref": f"y{axis} domain", "x": step, "y": 0, "xanchor": "left"}
        above = {"yanchor": "bottom", "showarrow": False, "bgcolor": colours.sheet, "borderpad": 1, "xshift": 1}
        notes.append({"text": text, "font": {"size": 10, "color": colours.ink3}, **place, **above})
    return notes
