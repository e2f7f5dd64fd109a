"""The curves of a run as one Plotly figure: nine small multiples on one step axis, crossed by the knob changes."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.views.curve_panels import PANELS, Line, Panel
from workbench.views.figures import plain, say, theme_of, themed
from workbench.views.knobmarks import caption, knob_marks, mark_knobs
from workbench.views.theme import Theme
from workbench.views.words import word

Row = Mapping[str, Any]
T = TypeVar("T")
COLUMNS = 3
PART = "reward_parts/"
MOST_POINTS = 1000  # a curve of more steps shows every n-th, and the newest
SMOOTHING = 0.4  # weight of the newest step in the thick line
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
    colours = theme_of(theme)
    num_rows = -(-len(PANELS) // COLUMNS)
    grid: dict[str, Any] = {"shared_xaxes": "all", "horizontal_spacing": 0.045, "vertical_spacing": 0.11}
    figure = make_subplots(rows=num_rows, cols=COLUMNS, **grid)
    kept = thinned(rows)
    steps = [row["step"] for row in kept]
    for number, panel in enumerate(PANELS):
        place = {"row": number // COLUMNS + 1, "col": number % COLUMNS + 1}
        _draw_panel(figure, panel, place, rows, kept, colours, lang)
    marks = knob_marks(events)
    _set_step_axis(figure, steps, colours, lang)
    mark_knobs(figure, marks, steps, colours, COLUMNS)
    if not rows:
        say(figure, word("no_steps", lang), colours)
    return themed(
        figure,
        colours,
        title=caption(marks, colours),
        height=None,
        margin={"l": 44, "r": 8, "t": 72, "b": 44},
        hovermode="x",
        showlegend=False,
        uirevision="curves",
        title_font_size=12,
        title_y=0.985,
        title_yanchor="top",
    )


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


def _draw_panel(
    figure, panel: Panel, place: dict, rows: Sequence[Row], kept: Sequence[Row], colours, lang: str
) -> None:
    steps, number = [row["step"] for row in kept], (place["row"] - 1) * COLUMNS + place["col"]
    lines = list(panel.lines)
    if number == 1:
        lines += reward_components(rows)
        figure.add_traces(_band(kept, colours), rows=place["row"], cols=place["col"])
    drawn: list[float] = [0.0, panel.at_least]
    ends = []
    for line in lines:
        values = [value_of(row, line.metric) for row in kept]
        averages = thinned(smoothed([value_of(row, line.metric) for row in rows]))
        is_thin = line.metric.startswith(PART)
        traces = _traces(steps, values, averages, line, getattr(colours, line.colour), lang, is_thin=is_thin)
        figure.add_traces(traces, rows=place["row"], cols=place["col"])
        drawn += [value for value in values if value is not None]
        if values and averages[-1] is not None and (line.label[0] or len(lines) == 1):
            ends.append((averages[-1], _end_label(line, values[-1], panel, colours, lang)))
    low, high = min(drawn), max(drawn) or 1.0
    span = (low - (0.08 * (high - low) if low < 0 else 0.0), high + 0.08 * (high - low))
    tickformat = "~%" if panel.is_share else "~g"
    figure.update_yaxes(range=list(span), nticks=4, tickformat=tickformat, **place)
    _title(figure, panel, number, colours, lang)
    _label_ends(figure, number, ends[: 1 + MOST_COMPONENTS], span, steps, colours)


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


def _traces(steps, values, averages, line: Line, colour: str, lang: str, *, is_thin: bool) -> list[go.Scatter]:
    """Return the dots of the steps and their smoothed line."""
    label = plain(line.label[lang == "zh"])
    smooth = go.Scatter(x=steps, y=averages, mode="lines", name=label or line.metric, connectgaps=False)
    smooth.line = {"color": colour, "width": 1.2 if is_thin else 2}
    smooth.customdata = values
    smooth.hovertemplate = f"{label} %{{customdata:.4~g}}<extra></extra>"
    if is_thin:
        return [smooth]
    dots = go.Scatter(x=steps, y=values, mode="markers", name=label or line.metric, hoverinfo="skip")
    dots.marker = {"color": colour, "size": 4, "opacity": 0.35 if len(steps) < 200 else 0.15}
    return [dots, smooth]


def _band(rows: Sequence[Row], colours: Theme) -> list[go.Scatter]:
    steps = [row["step"] for row in rows]
    edges = [go.Scatter(x=steps, y=[row[name] for row in rows], name=name) for name in ("reward_low", "reward_high")]
    for edge in edges:
        edge.update(mode="lines", line_width=0, hoverinfo="skip")
    return [edges[0], edges[1].update(fill="tonexty", fillcolor=colours.line)]


def _end_label(line: Line, newest: float | None, panel: Panel, colours: Theme, lang: str) -> str:
    number = "–" if newest is None else f"{100 * newest:.3g}%" if panel.is_share else f"{newest:.3g}"
    sign = f"<span style='color:{getattr(colours, line.colour)}'>{line.sign}</span> " if line.sign else ""
    name, tone = plain(line.label[lang == "zh"]), colours.ink if line.colour == "ink" else colours.ink2
    text = f"{name} {number}".strip()
    return f"{sign}<span style='color:{tone}'>{f'<b>{text}</b>' if line.colour == 'ink' else text}</span>"


def _label_ends(figure: go.Figure, number: int, ends: list, span, steps: Sequence[int], colours: Theme) -> None:
    """Write each line's label at its end; labels that would touch are moved apart."""
    unit = span[1] - span[0]
    for (_, text), y in zip(ends, spread([end for end, _ in ends], LABEL_PITCH * unit, span), strict=True):
        axis = "" if number == 1 else str(number)
        place = {"x": steps[-1], "y": y, "xref": f"x{axis}", "yref": f"y{axis}", "xanchor": "left", "xshift": 5}
        figure.add_annotation(text=text, showarrow=False, bgcolor=colours.sheet, **place)


def spread(values: Sequence[float], pitch: float, span: tuple[float, float]) -> list[float]:
    """Return positions as near to `values` as `pitch` between any two allows, in their order, inside `span`.

    >>> spread([0.5, 0.5, 0.1], 0.25, (0.0, 1.0))
    [0.75, 0.5, 0.25]
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


def _title(figure: go.Figure, panel: Panel, number: int, colours: Theme, lang: str) -> None:
    axis, is_zh = "" if number == 1 else str(number), lang == "zh"
    unit = f"<span style='color:{colours.ink3};font-size:11px'>{panel.unit[is_zh]}</span>"
    figure.add_annotation(
        text=f"<b>{panel.title[is_zh]}</b>  {unit}",
        font={"size": 13, "color": colours.ink},
        xref=f"x{axis} domain",
        yref=f"y{axis} domain",
        x=0,
        y=1,
        xanchor="left",
        yanchor="bottom",
        xshift=-4,
        yshift=18 if number <= COLUMNS else 4,
        showarrow=False,
    )


def _set_step_axis(figure: go.Figure, steps: Sequence[int], colours: Theme, lang: str) -> None:
    first, last = (steps[0], steps[-1]) if steps else (1, 10)
    width = max(last - first, 1)
    figure.update_xaxes(
        range=[first - 0.02 * width, last + LABEL_ROOM * width], nticks=6, tickformat="d", ticks="outside"
    )
    figure.update_xaxes(showspikes=True, spikethickness=1, spikecolor=colours.ink3, spikedash="solid", ticklen=4)
    if width < 6:
        figure.update_xaxes(dtick=1, tick0=first)  # or a few steps get the same label several times
    for column in range(1, COLUMNS + 1):
        figure.update_xaxes(title_text=word("step", lang), title_standoff=4, row=len(PANELS) // COLUMNS, col=column)
