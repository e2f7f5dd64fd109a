"""The curves of a run as one Plotly figure: nine small multiples on one step axis, crossed by the knob changes."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, TypeVar

import plotly.graph_objects as go

from workbench.views.curve_panels import PANELS, Line, Panel
from workbench.views.figures import look, plain, sentence_of, theme_of
from workbench.views.knobmarks import KnobMark, caption, knob_marks, knob_shapes, numerals
from workbench.views.theme import Theme
from workbench.views.words import word

Row = Mapping[str, Any]
T = TypeVar("T")
Part = dict[str, Any]  # of a Plotly figure; made whole at the end, for Plotly checks every change of a figure anew
COLUMNS = 3
PART = "reward_parts/"
MOST_POINTS = 1000  # a curve of more steps shows every n-th, and the newest
SMOOTHING = 0.4  # weight of the newest step in the thick line
GAP_X, GAP_Y = 0.045, 0.11  # between panels, of the figure
LABEL_ROOM = 0.27  # of the steps' width, at the right of the newest, for the labels
LABEL_PITCH = 0.13  # of a panel's height, between two labels
LONGEST_NAME = 12  # letters of a reward function's name that fit beside its line
MOST_COMPONENTS = 5  # reward functions that get a label; the others are thin lines with a hover text


def curves_figure(rows: Sequence[Row], events: Sequence[Row], *, theme: str = "light", lang: str = "en") -> go.Figure:
    """Return the figure of all curves of a run.

    Thick lines are exponential averages (the newest step weighs 0.4), dots are the steps themselves, and the number at
    a line's end is the newest step's. A value that was not measured is a gap. Dashed lines are knob changes, numbered
    above every column and spelled out at the top; every other regime between them is tinted.
    """
    colours, kept = theme_of(theme), thinned(rows)
    steps, marks = [row["step"] for row in kept], knob_marks(events)
    axes = [str(number) if number > 1 else "" for number in range(1, len(PANELS) + 1)]
    traces: list[Part] = []
    notes = [note for axis in axes[:COLUMNS] for note in numerals(marks, axis, steps, colours)]
    layout = look(colours) | _frame(marks, colours)
    for index, (panel, axis) in enumerate(zip(PANELS, axes, strict=True)):
        lines = list(panel.lines) + (reward_components(rows) if index == 0 else [])
        values = [[value_of(row, line.metric) for row in rows] for line in lines]
        span = value_span(panel, [thinned(each) for each in values])
        own = _band(kept, colours) if index == 0 else []
        for line, each in zip(lines, values, strict=True):
            own += _traces(steps, each, line, getattr(colours, line.colour), lang)
        traces += [trace | {"xaxis": f"x{axis}", "yaxis": f"y{axis}"} for trace in own]
        notes += [_title(panel, axis, colours, lang, is_top=index < COLUMNS)]
        notes += _end_labels(panel, axis, lines, values, span, steps, colours, lang)
        layout |= {f"xaxis{axis}": _step_axis(index, steps, colours, lang)}
        layout |= {f"yaxis{axis}": _value_axis(index, panel, span, colours)}
    if not rows:
        notes.append(sentence_of(word("no_steps", lang), colours))
    shapes = knob_shapes(marks, axes, COLUMNS, steps, colours)
    return go.Figure(data=traces, layout=layout | {"annotations": notes, "shapes": shapes})


def _frame(marks: Sequence[KnobMark], colours: Theme) -> Part:
    title = {"text": caption(marks, colours), "x": 0, "xref": "paper", "xanchor": "left", "y": 0.985, "yanchor": "top"}
    return {
        "title": title | {"font": {"size": 12, "color": colours.ink2}},
        "margin": {"l": 44, "r": 8, "t": 72, "b": 44},
        "hovermode": "x",
        "showlegend": False,
        "uirevision": "curves",
    }


def thinned(rows: Sequence[T]) -> Sequence[T]:
    """Return at most about `MOST_POINTS` rows, evenly spaced, the newest always among them."""
    stride = max(1, -(-len(rows) // MOST_POINTS))
    return rows[(len(rows) - 1) % stride :: stride] if rows else []


def smoothed(values: Sequence[float | None]) -> list[float | None]:
    """Return the exponential average; a gap stays a gap.

    >>> smoothed([1.0, None, 2.0])
    [1.0, None, 1.4]
    """
    average, averages = None, []
    for value in values:
        if value is not None:
            average = value if average is None else average + SMOOTHING * (value - average)
        averages.append(None if value is None else average)
    return averages


def value_of(row: Row, metric: str) -> float | None:
    """Return a row's metric, or what one reward function adds to the mean reward; None if it was not measured."""
    if metric.startswith(PART):
        return row.get("reward_parts", {}).get(metric.removeprefix(PART))
    return row["metrics"].get(metric)


def reward_components(rows: Sequence[Row]) -> list[Line]:
    """Return a thin line for each reward function of the newest step: its share of the mean reward."""
    names = list(rows[-1].get("reward_parts", {})) if rows else []
    short = [name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…" for name in names]
    tones = ("s1", "s2", "s3")
    return [Line(PART + name, (short[i], short[i]), tones[min(i, 2)]) for i, name in enumerate(names)]


def value_span(panel: Panel, values: Sequence[Sequence[float | None]]) -> tuple[float, float]:
    """Return the ends of a panel's axis: 0, all values, and a little room above."""
    known = [value for each in values for value in each if value is not None and isfinite(value)]
    low, high = min([0.0, *known]), max([0.0, panel.at_least, *known])
    high = high if high > low else low + 1.0
    room = 0.08 * (high - low)
    return low - (room if low < 0 else 0.0), high + room


def _traces(steps: Sequence[int], values: Sequence[float | None], line: Line, colour: str, lang: str) -> list[Part]:
    """Return the dots of the steps and their smoothed line; of a reward's part the line alone."""
    label, kept, is_thin = plain(line.label[lang == "zh"]), thinned(values), line.metric.startswith(PART)
    smooth: Part = {
        "x": steps,
        "y": thinned(smoothed(values)),
        "name": label or line.metric,
        "mode": "lines",
        "line": {"color": colour, "width": 1.2 if is_thin else 2},
        "connectgaps": False,
        "customdata": kept,
        "hovertemplate": f"{label} %{{customdata:.4~g}}<extra></extra>",
    }
    if is_thin:
        return [smooth]
    marker = {"color": colour, "size": 4, "opacity": 0.35 if len(steps) < 200 else 0.15}
    name = label or line.metric
    dots: Part = {"x": steps, "y": kept, "name": name, "mode": "markers", "marker": marker, "hoverinfo": "skip"}
    return [dots, smooth]


def _band(rows: Sequence[Row], colours: Theme) -> list[Part]:
    steps = [row["step"] for row in rows]
    quiet: Part = {"x": steps, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    low, high = (quiet | {"y": [row[name] for row in rows], "name": name} for name in ("reward_low", "reward_high"))
    return [low, high | {"fill": "tonexty", "fillcolor": colours.line}]


def _end_labels(
    panel: Panel, axis: str, lines: Sequence[Line], values, span: tuple[float, float], steps, colours, lang: str
) -> list[Part]:
    """Return each line's label at its end; labels that would touch are moved apart."""
    ends = []
    for line, each in zip(lines, values, strict=True):
        average = smoothed(each)[-1] if each else None
        if average is not None and (line.label[0] or len(lines) == 1):
            ends.append((average, _end_label(line, each[-1], panel, colours, lang)))
    ends = ends[: 1 + MOST_COMPONENTS]
    heights = spread([end for end, _ in ends], LABEL_PITCH * (span[1] - span[0]), span)
    place: Part = {"xref": f"x{axis}", "yref": f"y{axis}", "xanchor": "left", "xshift": 5, "showarrow": False}
    return [
        {"x": steps[-1], "y": y, "text": text, "bgcolor": colours.sheet, **place}
        for (_, text), y in zip(ends, heights, strict=True)
    ]


def percent(share: float) -> str:
    """Return a share in per cent, with two digits.

    >>> percent(0.375), percent(0.00393), percent(1.0), percent(0.0)
    ('38%', '0.39%', '100%', '0%')
    """
    return f"{100 * share:.0f}%" if share >= 0.1 else f"{100 * share:.2g}%"


def _end_label(line: Line, newest: float | None, panel: Panel, colours: Theme, lang: str) -> str:
    number = "–" if newest is None else percent(newest) if panel.is_share else f"{newest:.3g}"
    sign = f"<span style='color:{getattr(colours, line.colour)}'>{line.sign}</span> " if line.sign else ""
    name, tone = plain(line.label[lang == "zh"]), colours.ink if line.colour == "ink" else colours.ink2
    text = f"{name} {number}".strip()
    return f"{sign}<span style='color:{tone}'>{f'<b>{text}</b>' if line.colour == 'ink' else text}</span>"


def spread(values: Sequence[float], pitch: float, span: tuple[float, float]) -> list[float]:
    """Return positions as near to `values` as `pitch` between any two allows, in their order, inside `span`.

    >>> spread([0.5, 0.5, 0.1], 0.25, (0.0, 1.0))
    [0.75, 0.5, 0.125]
    """
    order = sorted(range(len(values)), key=lambda i: (values[i], -i))
    placed = dict.fromkeys(order, 0.0)
    lowest = span[0] + pitch / 2
    for i in order:
        placed[i] = max(values[i], lowest)
        lowest = placed[i] + pitch
    highest = span[1]
    for i in reversed(order):
        placed[i] = min(placed[i], highest)
        highest = placed[i] - pitch
    return [placed[i] for i in range(len(values))]


def _title(panel: Panel, axis: str, colours: Theme, lang: str, *, is_top: bool) -> Part:
    is_zh = lang == "zh"
    unit = f"<span style='color:{colours.ink3};font-size:11px'>{panel.unit[is_zh]}</span>"
    place: Part = {"xref": f"x{axis} domain", "yref": f"y{axis} domain", "x": 0, "y": 1, "xanchor": "left"}
    above: Part = {"yanchor": "bottom", "xshift": -4, "yshift": 18 if is_top else 4, "showarrow": False}
    font = {"size": 13, "color": colours.ink}
    return {"text": f"<b>{panel.title[is_zh]}</b>  {unit}", "font": font, **place, **above}


def _step_axis(index: int, steps: Sequence[int], colours: Theme, lang: str) -> Part:
    first, last = (steps[0], steps[-1]) if steps else (1, 10)
    width = max(last - first, 1)
    column, is_bottom = index % COLUMNS, index // COLUMNS == (len(PANELS) - 1) // COLUMNS
    left = column * (1 + GAP_X) / COLUMNS
    axis: Part = {
        "anchor": f"y{index + 1 if index else ''}",
        "domain": [left, left + (1 + GAP_X) / COLUMNS - GAP_X],
        "range": [first - 0.02 * width, last + LABEL_ROOM * width],
        "nticks": 6,
        "tickformat": "d",
        "showticklabels": is_bottom,
        "title": {"text": word("step", lang) if is_bottom else "", "standoff": 4, "font": {"size": 11}},
        "showspikes": True,
        "spikethickness": 1,
        "spikecolor": colours.ink3,
        "spikedash": "solid",
    }
    if index:
        axis["matches"] = "x"
    if width < 6:
        axis |= {"dtick": 1, "tick0": first}  # or a few steps get the same label several times
    lines = {"linecolor": colours.line2, "tickcolor": colours.line2, "ticks": "outside", "ticklen": 4}
    return axis | lines | {"showgrid": False, "zeroline": False}


def _value_axis(index: int, panel: Panel, span: tuple[float, float], colours: Theme) -> Part:
    num_rows = (len(PANELS) - 1) // COLUMNS + 1
    top = 1 - index // COLUMNS * (1 + GAP_Y) / num_rows
    return {
        "anchor": f"x{index + 1 if index else ''}",
        "domain": [max(0.0, top - (1 + GAP_Y) / num_rows + GAP_Y), top],
        "range": list(span),
        "nticks": 4,
        "tickformat": "~%" if panel.is_share else "~g",
        "gridcolor": colours.line,
        "linecolor": colours.line2,
        "zeroline": False,
    }
