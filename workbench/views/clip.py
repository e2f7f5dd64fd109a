"""The clipped objective with every token of a group on it, as a Plotly figure."""

from math import log, log10
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.run.record import GroupRecord
from workbench.views import clipplane as cp
from workbench.views.clipplane import Bounds, Marks
from workbench.views.figures import heading, plain, say, theme_of, themed
from workbench.views.theme import Theme
from workbench.views.words import word

KINDS = ((cp.LIVE, "live"), (cp.OUTSIDE, "outside"), (cp.DEAD, "zero_gradient"))
HEADROOM = 0.24  # above the curve, of its height: room for the words


def clip_figure(group: GroupRecord, *, update: int = -1, theme: str = "light", lang: str = "en") -> go.Figure:
    """Return PPO's objective over the ratio, A > 0 at the left and A < 0 at the right, with the group's tokens on it.

    y is L / |A|, so that all tokens of one sign share a curve; x is the ratio on a log scale. Where the objective is
    flat the gradient is zero: grey, with those words. Tokens outside the band on the other side still learn. Marks that
    would hide one another are put below each other; a ratio beyond the axis stands at its edge with an arrow.

    Raises IndexError if there is no such inner update.
    """
    colours, num_updates = theme_of(theme), len(group.completions[0].logps_by_update)
    marks, bounds = cp.token_marks(group, update), Bounds.of(group.completions[0].knobs)
    reach = cp.log_reach(marks, bounds)
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.08)
    for column, sign in enumerate(cp.SIGNS, start=1):
        span = _add_ground(figure, column, sign, bounds, reach, colours, lang)
        _add_marks(figure, column, sign, group, marks.where(marks.sign == sign), bounds, reach, span, colours)
    _add_legend(figure, colours, lang, has_off_scale=bool((np.abs(marks.log_ratio) > reach).any()))
    sentence = cp.why_empty(group, marks, lang) or cp.why_all_one(marks, num_updates, lang)
    if sentence:
        for axes in ("", "2"):
            say(figure, in_two_lines(sentence), colours, y=0.12, axes=axes)
    title = heading(word("clip_title", lang), clip_summary(marks, num_updates, update, lang), colours)
    return themed(figure, colours, title)


def in_two_lines(sentence: str) -> str:
    """Return `sentence` broken after its colon or first comma: half a panel's width is all it has.

    >>> in_two_lines("8 equal rewards, so A = 0: no gradient")
    '8 equal rewards,<br>so A = 0: no gradient'
    """
    for mark in ("：", ": first", ": one", "，", ", "):
        if mark in sentence:
            before, after = sentence.split(mark[0], 1)
            return f"{before}{mark[0]}<br>{after.strip()}"
    return sentence


def clip_summary(marks: Marks, num_updates: int, update: int, lang: str) -> str:
    """Return how many tokens lost their gradient and how many are outside but learning, in words."""
    dead, out = int((marks.kind == cp.DEAD).sum()), int((marks.kind == cp.OUTSIDE).sum())
    words = [word("summary", lang, dead=dead, out=out, n=len(marks))] if len(marks) else []
    if marks.num_nan:
        words.append(word("not_a_number", lang, n=marks.num_nan))
    words.append(word("inner_update", lang, k=update % num_updates + 1, n=num_updates))
    return " · ".join(words)


def _add_ground(
    figure: go.Figure, column: int, sign: int, bounds: Bounds, reach: float, colours: Theme, lang: str
) -> tuple[float, float]:
    """Draw regions, limits, curve and axes of one panel; return the range of y."""
    place: dict[str, Any] = {"row": 1, "col": column}
    x = np.exp(np.union1d(np.linspace(-reach, reach, 161), _kinks(bounds, reach)))
    y = cp.objective(x, sign, bounds)
    low, high = float(y.min()), float(y.max())
    span = (low - 0.04 * (high - low), high + HEADROOM * (high - low))
    curve = go.Scatter(x=x, y=y, mode="lines", opacity=0.45, hoverinfo="skip", showlegend=False, name="objective")
    figure.add_trace(curve.update(line={"color": colours.up if sign > 0 else colours.dn, "width": 2.5}), **place)
    _add_regions(figure, column, sign, bounds, reach, colours, lang)
    for ratio in (bounds.low, 1.0, bounds.high):
        if ratio > 0:
            dash = "solid" if ratio == 1 else "dot"
            line = {"color": colours.line2 if ratio == 1 else colours.ink3, "width": 1, "dash": dash}
            figure.add_vline(x=ratio, line=line, layer="below", **place)
    _set_axes(figure, column, sign, bounds, reach, span, colours, lang)
    return span


def _add_regions(figure: go.Figure, column: int, sign: int, bounds: Bounds, reach: float, colours, lang: str) -> None:
    """Shade and name where the gradient is zero; name the other side of the band, where tokens still learn."""
    place: dict[str, Any] = {"row": 1, "col": column}
    for start, end in cp.flat_ranges(sign, bounds):
        left, right = max(start, np.exp(-reach)), min(end, np.exp(reach))
        if left < right:
            ground: dict[str, Any] = {"fillcolor": colours.dead, "line_width": 0, "layer": "below"}
            figure.add_vrect(x0=left, x1=right, **ground, **place)
            _add_words(figure, column, left, right, reach, word("flat", lang), colours.ink2)
    left, right = (np.exp(-reach), bounds.low) if sign > 0 else (bounds.high, min(bounds.cap, np.exp(reach)))
    words = word("outside", lang).replace(", ", ",<br>").replace("，", "，<br>")
    _add_words(figure, column, left, right, reach, words, colours.ink3)


def _kinks(bounds: Bounds, reach: float) -> list[float]:
    return [log(r) for r in (bounds.low, bounds.high, bounds.cap) if r > 0 and abs(log(r)) < reach]


def _add_words(figure: go.Figure, column: int, left: float, right: float, reach: float, text: str, colour: str) -> None:
    if left <= 0 or log(right / left) < reach / 3.4:  # words that do not fit are left out
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


def _set_axes(figure, column, sign, bounds: Bounds, reach: float, span, colours: Theme, lang: str) -> None:
    ticks = cp.ratio_ticks(bounds, reach)
    figure.update_xaxes(
        type="log",
        range=[-reach / log(10), reach / log(10)],
        tickvals=[r for r, _ in ticks],
        ticktext=[text for _, text in ticks],
        ticks="outside",
        title_text=word("ratio_axis", lang),
        row=1,
        col=column,
    )
    unit = word("objective_axis", lang) if column == 1 else ""
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


def _add_marks(figure, column, sign, group, marks: Marks, bounds: Bounds, reach, span, colours: Theme) -> None:
    shown = np.clip(marks.log_ratio, -reach, reach)
    y = cp.objective(np.exp(shown), sign, bounds)
    for kind, name in KINDS:
        chosen = marks.kind == kind
        heights = y[chosen]
        if kind != cp.LIVE:
            unit = span[1] - span[0]
            heights = cp.stacked(
                shown[chosen], heights, close=reach / 27, pitch=unit / 26, lowest=span[0] + unit * 0.03
            )
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
    """Return the marker of a token: a disc, an open triangle that points where the push goes, or a cross in ink."""
    colour = colours.up if sign > 0 else colours.dn
    if kind == cp.LIVE:
        return {"symbol": "circle", "size": 6, "color": colour, "opacity": 0.3}
    if kind == cp.OUTSIDE:
        symbol = "triangle-right" if sign > 0 else "triangle-left"
        return {"symbol": symbol, "size": 9, "color": colours.sheet, "line": {"color": colour, "width": 1.6}}
    return {"symbol": "x-thin", "size": 7, "color": colours.ink, "line": {"color": colours.ink, "width": 1.6}}


def _about(group: GroupRecord, marks: Marks, i: int) -> str:
    completion = group.completions[marks.completion[i]]
    token = plain(completion.tokens[marks.token[i]])
    ratio = float(np.exp(marks.log_ratio[i]))
    return f"<b>{token}</b>  r = {ratio:.3f}<br>#{marks.completion[i] + 1}, A = {completion.advantage:+.2f}"


def _add_legend(figure: go.Figure, colours: Theme, lang: str, *, has_off_scale: bool) -> None:
    styles = {kind: mark_style(kind, 1, colours) for kind, _ in KINDS}
    styles[cp.LIVE] |= {"color": colours.ink2, "opacity": 0.6}
    styles[cp.OUTSIDE]["line"] = {"color": colours.ink2, "width": 1.6}
    entries = [(word(name, lang), styles[kind]) for kind, name in KINDS]
    if has_off_scale:
        entries.append((word("off_scale", lang), {"symbol": "arrow-right", "size": 10, "color": colours.ink}))
    for name, style in entries:
        figure.add_trace(go.Scatter(x=[None], y=[None], mode="markers", name=name, marker=style), row=1, col=1)
