"""Where knobs changed, drawn across every panel of a figure over steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.run.knobs import knob_spec
from workbench.views.theme import Theme

CLOSEST_DISCS = 0.03  # of the steps' width: nearer discs would hide one another
CLOSEST_LINES = 0.02


@dataclass(frozen=True)
class KnobMark:
    """All knob changes that one step was the first to use, numbered from 1 in the order of the steps."""

    number: int
    step: int
    events: tuple[Mapping[str, Any], ...]


def knob_marks(events: Sequence[Mapping[str, Any]]) -> list[KnobMark]:
    """Return one mark a step, as the page numbers them."""
    steps = sorted({event["step"] for event in events})
    return [
        KnobMark(number, step, tuple(event for event in events if event["step"] == step))
        for number, step in enumerate(steps, start=1)
    ]


def describe_change(event: Mapping[str, Any]) -> str:
    """Return a knob change in symbols.

    >>> describe_change({"step": 15, "knob": "beta", "old": 0.04, "new": 0.1})
    'β 0.04 → 0.1 @ 15'
    """
    old, new = ("–" if value is None else value for value in (event["old"], event["new"]))
    return f"{knob_spec(event['knob']).symbol} {old} → {new} @ {event['step']}"


def caption(marks: Sequence[KnobMark], colours: Theme, most_letters: int = 170) -> str:
    """Return the newest knob changes in words, as many as fit one line."""
    texts: list[str] = []
    for mark in reversed(marks):
        text = f"<b>{mark.number}</b>&nbsp; {', '.join(map(describe_change, mark.events))}"
        if texts and sum(map(len, texts)) + len(text) > most_letters:
            texts.append("…")
            break
        texts.append(text)
    return f"<span style='color:{colours.ink2}'>{'&nbsp;&nbsp;&nbsp; '.join(reversed(texts))}</span>" if texts else ""


def knob_shapes(
    marks: Sequence[KnobMark], axes: Sequence[str], columns: int, steps: Sequence[int], colours: Theme
) -> list[dict[str, Any]]:
    """Return a dashed line a mark in all panels, a tint over every other regime, and discs above the first row."""
    if not steps:
        return []
    lines = _apart(marks, CLOSEST_LINES * max(steps[-1] - steps[0], 1))
    shapes = [shape for axis in axes for shape in _regimes(lines, steps[-1], axis, colours)]
    return shapes + [_disc(mark, axis, colours) for axis in axes[:columns] for mark in _numbered(marks, steps)]


def numerals(marks: Sequence[KnobMark], axis: str, steps: Sequence[int], colours: Theme) -> list[dict[str, Any]]:
    """Return the numbers in the discs of one column, with the changes to read on hover."""
    return [_numeral(mark, axis, colours) for mark in _numbered(marks, steps)]


def _numbered(marks: Sequence[KnobMark], steps: Sequence[int]) -> list[KnobMark]:
    return _apart(marks, CLOSEST_DISCS * max(steps[-1] - steps[0], 1)) if steps else []


def _regimes(marks: Sequence[KnobMark], last: int, axis: str, colours: Theme) -> list[dict[str, Any]]:
    """Return a panel's lines, and the tint after every other one."""
    place = {"xref": f"x{axis}", "yref": f"y{axis} domain", "y0": 0, "y1": 1, "layer": "below"}
    stroke = {"color": colours.ink3, "width": 1, "dash": "dot"}
    shapes = [{"type": "line", "x0": mark.step, "x1": mark.step, "line": stroke, **place} for mark in marks]
    ends = [*(mark.step for mark in marks[1:]), last][: len(marks)]
    for mark, end in list(zip(marks, ends, strict=True))[::2]:
        tint = {"type": "rect", "x0": mark.step, "x1": end, "fillcolor": colours.band, "line": {"width": 0}}
        shapes.insert(0, tint | place)
    return shapes


def _apart(marks: Sequence[KnobMark], closest: float) -> list[KnobMark]:
    """Return the marks that can be told apart, oldest first; of two that cannot, the newer."""
    kept: list[KnobMark] = []
    for mark in reversed(marks):
        if not kept or kept[-1].step - mark.step >= closest:
            kept.append(mark)
    return kept[::-1]


def _disc(mark: KnobMark, axis: str, colours: Theme) -> dict[str, Any]:
    place = {"xref": f"x{axis}", "yref": f"y{axis} domain", "xanchor": mark.step, "yanchor": 1}
    size = {"xsizemode": "pixel", "ysizemode": "pixel", "x0": -7, "x1": 7, "y0": 1, "y1": 15}
    return {"type": "circle", "fillcolor": colours.ink, "line": {"width": 0}, **place, **size}


def _numeral(mark: KnobMark, axis: str, colours: Theme) -> dict[str, Any]:
    place = {"x": mark.step, "y": 1, "xref": f"x{axis}", "yref": f"y{axis} domain", "yshift": 8, "yanchor": "middle"}
    font = {"size": 10, "color": colours.sheet}
    words = "<br>".join(map(describe_change, mark.events))
    return {"text": f"<b>{mark.number}</b>", "hovertext": words, "showarrow": False, "font": font, **place}
