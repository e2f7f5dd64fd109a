"""The curve of the loss with every token of a group on it, as a Plotly figure."""

from math import log, log10
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.run.completion import GroupRecord
from workbench.views import clipplane as cp
from workbench.views.clipplane import Marks
from workbench.views.clipwords import (
    CLIP_NAMES,
    KINDS,
    clip_summary,
    in_two_lines,
    legend_kinds,
    region_of_words,
    value_range,
)
from workbench.views.figures import heading, leaning, plain, say, theme_of, themed
from workbench.views.objectives import WEIGHTS, Curve
from workbench.views.theme import Theme
from workbench.views.words import word

HEADROOM = 0.24  # above the curve, of its height: room for the words


def clip_figure(
    group: GroupRecord, *, update: int = -1, method: str = "grpo", theme: str = "light", lang: str = "en"
) -> go.Figure:
    """Return what the loss makes of a token over its ratio, A > 0 at the left and A < 0 at the right, with the tokens.

    y is divided by |A|, so that all tokens of one sign share a curve: PPO's clipped objective, SAPO's gated one, or the
    weight of the gradient in CISPO, VESPO and the plain policy gradient. x is the ratio on a log scale; where a
    completion has but one ratio it has one mark. Where the clip makes the objective flat the gradient is zero: grey,
    with those words. Marks that would hide one another are put below each other; a ratio beyond the axis stands at its
    edge with an arrow. A `method` without a ratio gets an empty picture that says so.

    Raises IndexError if there is no such inner update.
    """
    colours, num_updates = theme_of(theme), len(group.completions[0].logps_by_update)
    marks, curve = cp.token_marks(group, update), Curve(group.completions[0].knobs)
    sentence = cp.why_no_curve(method, lang)
    if sentence:
        figure = say_alone(sentence, colours)
        return themed(figure, colours, heading(method.replace("_", " ").upper(), "", colours))
    reach = cp.log_reach(marks, curve)
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.08)
    for column, sign in enumerate(cp.SIGNS, start=1):
        span = _add_ground(figure, column, sign, curve, reach, colours, lang)
        _add_marks(figure, column, sign, group, marks.where(marks.sign == sign), curve, reach, span, colours)
    _add_legend(figure, marks, curve, reach, colours, lang)
    sentence = cp.why_empty(group, marks, lang) or cp.why_all_one(marks, num_updates, lang)
    if sentence:
        for axes in ("", "2"):
            say(figure, in_two_lines(sentence), colours, y=0.12, axes=axes)
    title = heading(word(f"{curve.form}_title", lang), clip_summary(marks, curve, num_updates, update, lang), colours)
    return themed(figure, colours, title)


def say_alone(sentence: str, colours: Theme) -> go.Figure:
    figure = go.Figure()
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    say(figure, sentence, colours)
    return figure


def _add_ground(
    figure: go.Figure, column: int, sign: int, curve: Curve, reach: float, colours: Theme, lang: str
) -> tuple[float, float]:
    """Draw regions, limits, curve and axes of one panel; return the range of y."""
    place: dict[str, Any] = {"row": 1, "col": column}
    x = np.exp(np.union1d(np.linspace(-reach, reach, 161), curve.kinks(reach)))
    y = curve.value(x, sign)
    low, high = value_range(y, curve)
    span = (low - 0.04 * (high - low), high + HEADROOM * (high - low))
    line = go.Scatter(x=x, y=y, mode="lines", opacity=0.45, hoverinfo="skip", showlegend=False, name="objective")
    figure.add_trace(line.update(line={"color": colours.up if sign > 0 else colours.dn, "width": 2.5}), **place)
    _add_regions(figure, column, sign, curve, reach, colours, lang)
    for ratio in (1.0, *(r for r, _ in cp.named_ratios(curve))):
        if ratio > 0:
            dash = "solid" if ratio == 1 else "dot"
            line = {"color": colours.line2 if ratio == 1 else colours.ink3, "width": 1, "dash": dash}
            figure.add_vline(x=ratio, line=line, layer="below", **place)
    _set_axes(figure, column, sign, curve, reach, span, colours, lang)
    return span


def _add_regions(figure: go.Figure, column: int, sign: int, curve: Curve, reach: float, colours, lang: str) -> None:
    """Shade and name where the gradient is zero, and name what happens elsewhere."""
    place: dict[str, Any] = {"row": 1, "col": column}
    for start, end in curve.flat_ranges(sign):
        left, right = max(start, np.exp(-reach)), min(end, np.exp(reach))
        if left < right:
            ground: dict[str, Any] = {"fillcolor": colours.dead, "line_width": 0, "layer": "below"}
            figure.add_vrect(x0=left, x1=right, **ground, **place)
            _add_words(figure, column, left, right, reach, word("flat", lang), colours.ink2)
    left, right, name = region_of_words(curve, sign, reach)
    words = word(name, lang).replace(", ", ",<br>").replace("，", "，<br>")
    _add_words(figure, column, left, right, reach, words, colours.ink3)


def _add_words(figure: go.Figure, column: int, left: float, right: float, reach: float, text: str, colour: str) -> None:
    if left <= 0 or right <= left or log10(right / left) < reach / 7.8:  # words that do not fit are left out
        return
    figure.add_annotation(
        x=(log10(left) + log10(right)) / 2,
        y=0.97,
        yref="y domain" if column == 1 else "y2 domain",
        xref="x" if column == 1 else "x2",
        yanchor="top",
        text=text,
        showarrow=False,
        font={"color": colour},
    )


def _set_axes(figure, column, sign, curve: Curve, reach: float, span, colours: Theme, lang: str) -> None:
    ticks = cp.ratio_ticks(curve, reach)
    figure.update_xaxes(
        type="log",
        range=[-reach / log(10), reach / log(10)],
        tickvals=[tick.ratio for tick in ticks],
        ticktext=[leaning(tick.text, tick.lean) for tick in ticks],
        tickangle=0,  # Plotly would turn labels whose blanks touch
        ticks="outside",
        title_text=word("sequence_axis" if curve.is_by_completion else "ratio_axis", lang),
        row=1,
        col=column,
    )
    unit = word("weight_axis" if curve.form in WEIGHTS else "objective_axis", lang) if column == 1 else ""
    figure.update_yaxes(range=list(span), nticks=5, title_text=unit, row=1, col=column)
    figure.add_annotation(
        text=f"<b>{plain(word('positive' if sign > 0 else 'negative', lang))}</b>",
        x=0,
        y=1.0,
        xref="x domain" if column == 1 else "x2 domain",
        yref="paper",
        xanchor="left",
        yanchor="bottom",
        showarrow=False,
        font={"size": 12, "color": colours.ink},
    )


def _add_marks(figure, column, sign, group, marks: Marks, curve: Curve, reach, span, colours: Theme) -> None:
    shown = np.clip(marks.log_ratio, -reach, reach)
    y = curve.value(np.exp(shown), sign)
    for kind in KINDS:
        chosen = marks.kind == kind
        if not chosen.any():
            continue
        heights = y[chosen]
        if kind in (cp.OUTSIDE, cp.DEAD) or (curve.is_by_completion and kind == cp.LIVE):
            unit = span[1] - span[0]
            heights = cp.stacked(
                shown[chosen], heights, close=reach / 27, pitch=unit / 26, lowest=span[0] + unit * 0.03
            )
        name = CLIP_NAMES[kind]
        trace = go.Scatter(x=np.exp(shown[chosen]), y=heights, mode="markers", name=name, showlegend=False)
        trace.marker = mark_style(kind, sign, colours)
        trace.customdata = [_about(group, marks, int(i)) for i in np.flatnonzero(chosen)]
        trace.hovertemplate = "%{customdata}<extra></extra>"
        figure.add_trace(trace, row=1, col=column)
    off = np.abs(marks.log_ratio) > reach
    if off.any():
        arrows = go.Scatter(x=np.exp(shown[off]), y=y[off], mode="markers", name="off scale", showlegend=False)
        arrows.marker = {"symbol": _arrows(marks.log_ratio[off]), "size": 11, "color": colours.ink}
        arrows.update(hoverinfo="skip", cliponaxis=False)
        figure.add_trace(arrows, row=1, col=column)


def _arrows(log_ratio: np.ndarray) -> list[str]:
    return ["arrow-right" if value > 0 else "arrow-left" for value in log_ratio]


def mark_style(kind: int, sign: int, colours: Theme) -> dict:
    """Return the marker of a token: a disc, a ring, an open triangle that points where the push goes, or a cross."""
    colour = colours.up if sign > 0 else colours.dn
    if kind == cp.LIVE:
        return {"symbol": "circle", "size": 6, "color": colour, "opacity": 0.3}
    if kind == cp.MASKED:
        return {"symbol": "circle-open", "size": 6, "color": colours.ink3, "line": {"width": 1}}
    if kind == cp.OUTSIDE:
        symbol = "triangle-right" if sign > 0 else "triangle-left"
        return {"symbol": symbol, "size": 9, "color": colours.sheet, "line": {"color": colour, "width": 1.6}}
    return {"symbol": "x-thin", "size": 7, "color": colours.ink, "line": {"color": colours.ink, "width": 1.6}}


def _about(group: GroupRecord, marks: Marks, i: int) -> str:
    completion, token = group.completions[marks.completion[i]], int(marks.token[i])
    ratio, advantage = float(np.exp(marks.log_ratio[i])), float(completion.token_advantages[token])
    if Curve(completion.knobs).is_by_completion:
        return f"<b>#{marks.completion[i] + 1}</b>  s = {ratio:.3f}<br>A = {advantage:+.2f}"
    text = plain(completion.tokens[token])
    return f"<b>{text}</b>  r = {ratio:.3f}<br>#{marks.completion[i] + 1}, A = {advantage:+.2f}"


def _add_legend(figure: go.Figure, marks: Marks, curve: Curve, reach: float, colours: Theme, lang: str) -> None:
    styles = {kind: mark_style(kind, 1, colours) for kind in KINDS}
    styles[cp.LIVE] |= {"color": colours.ink2, "opacity": 0.6}
    styles[cp.OUTSIDE]["line"] = {"color": colours.ink2, "width": 1.6}
    entries = [(word(name, lang), styles[kind]) for kind, name in legend_kinds(marks, curve)]
    if (np.abs(marks.log_ratio) > reach).any():
        entries.append((word("off_scale", lang), {"symbol": "arrow-right", "size": 10, "color": colours.ink}))
    for name, style in entries:
        figure.add_trace(go.Scatter(x=[None], y=[None], mode="markers", name=name, marker=style), row=1, col=1)
