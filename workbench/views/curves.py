"""The curves of a run as one Plotly figure: small multiples on one step axis, crossed by knob changes and rounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import plotly.graph_objects as go

from workbench.run.knobs import Knobs
from workbench.run.metrics import METRICS
from workbench.views.curve_lines import Part, band_of, curves_of, end_labels, points_of, thinned, traces_of, value_span
from workbench.views.curve_panels import NO_WORDS, Panel, panels_of
from workbench.views.figures import look, sentence_of, theme_of
from workbench.views.knobmarks import KnobMark, caption, knob_marks, knob_shapes, numerals
from workbench.views.rounds import round_labels, round_shapes, round_starts
from workbench.views.theme import FONT, Theme
from workbench.views.words import word

Row = Mapping[str, Any]
COLUMNS = 3  # of panels, where nothing else says how many fit
GAP_X = 0.135  # between panels, as a share of the figure's width and over the columns: fewer panels are wider
GAP_Y = 0.33  # between panels, of the height that a panel and its gap have
ROW_HEIGHT = 175  # pixels of a panel and its gap, where nothing else says how high the figure is
MARGIN = {"l": 44, "r": 8, "t": 58, "b": 44}
LABEL_ROOM = 0.27  # of the steps' width, at the right of the newest, for the labels


def curves_figure(
    rows: Sequence[Row],
    events: Sequence[Row],
    *,
    knobs: Knobs | None = None,
    theme: str = "light",
    lang: str = "en",
    columns: int = COLUMNS,
) -> go.Figure:
    """Return the figure of all curves of a run whose newest knobs are `knobs`, in so many columns of panels.

    Thick lines are exponential averages (the newest step weighs 0.4), dots are the steps themselves, and the number at
    a line's end is the newest step's. A value that was not measured is a gap. Dashed lines are knob changes, numbered
    above every column and spelled out at the top; every other regime between them is tinted. Solid lines are rounds
    of a learned reward.
    """
    colours, kept, panels = theme_of(theme), thinned(rows), panels_of(rows, knobs)
    steps, marks, starts = [row["step"] for row in kept], knob_marks(events), round_starts(rows)
    axes = [str(number) if number > 1 else "" for number in range(1, len(panels) + 1)]
    traces: list[Part] = []
    notes = [note for axis in axes[:columns] for note in numerals(marks, axis, steps, colours)]
    notes += round_labels(starts, axes[0], steps, colours, lang)
    grid = _Grid(len(panels), columns)
    layout = look(colours) | _frame(marks, grid, colours)
    for index, (panel, axis) in enumerate(zip(panels, axes, strict=True)):
        drawn = _panel(panel, axis, rows, colours, lang)
        traces += drawn.traces
        notes += [_title(panel, drawn, axis, colours, lang, is_top=index < columns), *drawn.notes]
        layout |= {f"xaxis{axis}": _step_axis(index, grid, steps, colours, lang)}
        layout |= {f"yaxis{axis}": _value_axis(index, grid, panel, drawn, colours)}
    if not rows:
        notes.append(sentence_of(word("no_steps", lang), colours))
    shapes = knob_shapes(marks, axes, columns, steps, colours) + round_shapes(starts, axes, colours)
    return go.Figure(data=traces, layout=layout | {"annotations": notes, "shapes": shapes})


@dataclass(frozen=True)
class _Grid:
    """Where the panels are, as shares of the figure's width and height."""

    num_panels: int
    columns: int

    @property
    def rows(self) -> int:
        return -(-self.num_panels // self.columns)

    def across(self, index: int) -> list[float]:
        gap = GAP_X / self.columns
        pitch = (1 + gap) / self.columns
        left = index % self.columns * pitch
        return [left, left + pitch - gap]

    def down(self, index: int) -> list[float]:
        pitch = 1 / (self.rows - GAP_Y)  # the lowest panel has no gap below
        top = 1 - index // self.columns * pitch
        return [max(0.0, top - pitch * (1 - GAP_Y)), top]

    def is_lowest(self, index: int) -> bool:
        return index + self.columns >= self.num_panels


@dataclass(frozen=True)
class _Drawn:
    """What one panel adds to the figure; `span` are the ends of its axis."""

    traces: list[Part]
    notes: list[Part]
    span: tuple[float, float]
    has_own_scales: bool


def _panel(panel: Panel, axis: str, rows: Sequence[Row], colours: Theme, lang: str) -> _Drawn:
    steps, curves = [row["step"] for row in thinned(rows)], curves_of(panel, rows)
    has_own_scales = any(curve.heights is not curve.values for curve in curves)
    traces = band_of(thinned(rows), colours) if panel.is_reward and not has_own_scales else []
    dots = [points_of(curve, rows) for curve in curves]
    span = value_span(panel, [*(heights for _, heights in dots), *(edge["y"] for edge in traces)])
    for curve, points in zip(curves, dots, strict=True):
        traces += traces_of(curve, steps, points, colours, lang)
    place: Part = {"xref": f"x{axis}", "yref": f"y{axis}", "xanchor": "left", "xshift": 5, "showarrow": False}
    notes = [{"x": steps[-1], **label, **place} for label in end_labels(panel, curves, span, colours, lang)]
    if panel.says != NO_WORDS:
        notes.append(sentence_of(panel.says[lang == "zh"], colours, axes=axis))
        traces.append({"x": steps, "y": [None] * len(steps), "hoverinfo": "skip"})  # or there are no axes to write on
    on_axes = [trace | {"xaxis": f"x{axis}", "yaxis": f"y{axis}"} for trace in traces]
    return _Drawn(on_axes, notes, span, has_own_scales)


def _frame(marks: Sequence[KnobMark], grid: _Grid, colours: Theme) -> Part:
    title = {"text": caption(marks, colours), "x": 0, "xref": "paper", "xanchor": "left", "y": 0.985, "yanchor": "top"}
    return {
        "title": title | {"font": {"size": 12, "color": colours.ink2}},
        "margin": MARGIN,
        "height": grid.rows * ROW_HEIGHT + MARGIN["t"] + MARGIN["b"],
        "meta": {"rows": grid.rows},
        "hovermode": "x",
        "showlegend": False,
        "uirevision": "curves",
    }


def _title(panel: Panel, drawn: _Drawn, axis: str, colours: Theme, lang: str, *, is_top: bool) -> Part:
    words = word("own_scales", lang) if drawn.has_own_scales else panel.unit[lang == "zh"]
    unit = f"<span style='color:{colours.ink3};font-size:11px'>{words}</span>"
    place: Part = {"xref": f"x{axis} domain", "yref": f"y{axis} domain", "x": 0, "y": 1, "xanchor": "left"}
    above: Part = {"yanchor": "bottom", "xshift": -4, "yshift": 18 if is_top else 4, "showarrow": False}
    font = {"size": 13, "color": colours.ink}
    label = {"bgcolor": colours.sheet, "bordercolor": colours.line2}
    words_font = {"family": FONT, "size": 12, "color": colours.ink}
    hover: Part = {"hovertext": _about(panel, lang), "hoverlabel": label | {"font": words_font}}
    return {"text": f"<b>{panel.title[lang == 'zh']}</b>  {unit}", "font": font, **place, **above, **hover}


def _about(panel: Panel, lang: str) -> str:
    """Return what the panel's lines mean, for the hover of its title: each by its name where there are several."""
    number, width = (1, 26) if lang == "zh" else (0, 48)
    named = len(panel.lines) > 1
    texts = [
        f"{line.label[number]}: {METRICS[line.metric].meaning[number]}"
        if named
        else METRICS[line.metric].meaning[number]
        for line in panel.lines
    ]
    return "<br>".join(part for text in texts for part in wrap(text, width))


def _step_axis(index: int, grid: _Grid, steps: Sequence[int], colours: Theme, lang: str) -> Part:
    first, last = (steps[0], steps[-1]) if steps else (1, 10)
    width = max(last - first, 1)
    is_lowest = grid.is_lowest(index)
    axis: Part = {
        "anchor": f"y{index + 1 if index else ''}",
        "domain": grid.across(index),
        "range": [first - 0.02 * width, last + LABEL_ROOM * width],
        "nticks": 6,
        "tickformat": "d",
        "showticklabels": is_lowest,
        "title": {"text": word("step", lang) if is_lowest else "", "standoff": 4, "font": {"size": 11}},
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


def _value_axis(index: int, grid: _Grid, panel: Panel, drawn: _Drawn, colours: Theme) -> Part:
    return {
        "anchor": f"x{index + 1 if index else ''}",
        "domain": grid.down(index),
        "range": list(drawn.span),
        "nticks": 4,
        "tickformat": "~%" if panel.is_share else "~g",
        "showticklabels": not drawn.has_own_scales and panel.says == NO_WORDS,
        "gridcolor": colours.line,
        "linecolor": colours.line2,
        "zeroline": False,
    }
