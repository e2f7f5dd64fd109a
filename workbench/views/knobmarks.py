"""Where knobs changed, drawn across every panel of a figure over steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from workbench.run.knobs import knob_spec
from workbench.views.theme import Theme

CLOSEST = 0.03  # of the steps' width: discs nearer than this would hide one another


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


def mark_knobs(
    figure: go.Figure, marks: Sequence[KnobMark], steps: Sequence[int], colours: Theme, columns: int
) -> None:
    """Cross all panels with a dashed line a mark, tint every other regime, and number the marks above the first row."""
    if not steps:
        return
    ends = [*(mark.step for mark in marks[1:]), steps[-1]][: len(marks)]
    for mark, end in zip(marks, ends, strict=True):
        if mark.number % 2 and mark.step < end:
            figure.add_vrect(
                x0=mark.step, x1=end, fillcolor=colours.band, line_width=0, layer="below", row="all", col="all"
            )
        line = {"color": colours.ink3, "width": 1, "dash": "dot"}
        figure.add_vline(x=mark.step, line=line, layer="below", row="all", col="all")
    for mark in _apart(marks, CLOSEST * max(steps[-1] - steps[0], 1)):
        for column in range(1, columns + 1):
            _add_disc(figure, mark, "" if column == 1 else str(column), colours)


def _apart(marks: Sequence[KnobMark], closest: float) -> list[KnobMark]:
    """Return the marks whose discs can be told apart, newest first."""
    kept: list[KnobMark] = []
    for mark in reversed(marks):
        if not kept or kept[-1].step - mark.step >= closest:
            kept.append(mark)
    return kept


def _add_disc(figure: go.Figure, mark: KnobMark, axis: str, colours: Theme) -> None:
    place = {"xref": f"x{axis}", "yref": f"y{axis} domain"}
    box = {"x0": -7, "x1": 7, "y0": 1, "y1": 15}
    size = {"xsizemode": "pixel", "ysizemode": "pixel", "xanchor": mark.step, "yanchor": 1}
    figure.add_shape(type="circle", fillcolor=colours.ink, line_width=0, **place, **box, **size)
    figure.add_annotation(
        text=f"<b>{mark.number}</b>",
        hovertext="<br>".join(map(describe_change, mark.events)),
        x=mark.step,
        y=1,
        yshift=8,
        yanchor="middle",
        showarrow=False,
        font={"size": 10, "color": colours.sheet},
        **place,
    )
