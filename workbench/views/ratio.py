"""How far a group's tokens have moved since they were sampled: a histogram of the log-ratio, as a Plotly figure."""

from collections.abc import Sequence
from math import log
from typing import Any

import numpy as np
import plotly.graph_objects as go

from workbench.run.completion import GroupRecord
from workbench.views import clipplane as cp
from workbench.views.clipplane import Marks
from workbench.views.clipwords import clip_summary
from workbench.views.figures import heading, leaning, say, theme_of, themed
from workbench.views.objectives import Curve
from workbench.views.theme import Theme
from workbench.views.words import word

MOST_BINS = 60


def ratio_figure(group: GroupRecord, *, update: int = -1, theme: str = "light", lang: str = "en") -> go.Figure:
    """Return the histogram of the tokens' ratios, A > 0 upwards and A < 0 downwards, with the clip band behind it.

    Bars are ε/10 wide in ln r, or wider so that there are at most 60; their heights are square roots, so that one token
    beside a hundred still shows. Tokens whose gradient the clip made zero are hatched. The outermost bars hold all that
    is off scale. Tokens that a mask left out are not counted.

    Raises IndexError if there is no such inner update.
    """
    colours, completion = theme_of(theme), group.completions[0]
    num_updates, curve = len(completion.logps_by_update), Curve(completion.knobs)
    marks = cp.token_marks(group, update)
    reach = cp.log_reach(marks, curve)
    edges = bin_edges(reach, completion.knobs.epsilon)
    figure, tallest = go.Figure(), 1
    for sign in cp.SIGNS:
        for is_dead in (False, True):
            chosen = (marks.sign == sign) & ((marks.kind == cp.DEAD) == is_dead) & (marks.kind != cp.MASKED)
            counts = _counts(marks.where(chosen), edges)
            tallest = max(tallest, int(counts.max()))
            figure.add_trace(_bars(edges, counts, sign, is_dead, colours, lang))
    _add_limits(figure, curve, colours, lang)
    _set_axes(figure, curve, reach, tallest, lang)
    sentence = cp.why_empty(group, marks, lang) or cp.why_all_one(marks, num_updates, lang)
    if sentence:
        say(figure, sentence, colours, y=0.9)
    title = heading(word("ratio_title", lang), clip_summary(marks, curve, num_updates, update, lang), colours)
    return themed(figure, colours, title, barmode="relative", margin_t=52)


def bin_edges(reach: float, epsilon: float) -> np.ndarray:
    """Return bin edges over ±`reach` in ln r, with a bin centred on 0: ratio 1 is never split over two bars."""
    width = max(epsilon / 10, 2 * reach / (MOST_BINS - 1))
    half = int(np.ceil(reach / width - 0.5 - 1e-9))
    return (np.arange(-half, half + 2) - 0.5) * width


def _counts(marks: Marks, edges: np.ndarray) -> np.ndarray:
    width = edges[1] - edges[0]
    inside = np.clip(marks.log_ratio, edges[0] + width / 2, edges[-1] - width / 2)
    return np.histogram(inside, edges)[0]


def _bars(edges: np.ndarray, counts: np.ndarray, sign: int, is_dead: bool, colours: Theme, lang: str) -> go.Bar:
    colour = colours.up if sign > 0 else colours.dn
    name = word("positive" if sign > 0 else "negative", lang) + (f", {word('zero_gradient', lang)}" if is_dead else "")
    kept = np.flatnonzero(counts)  # a bar of height 0 would still draw its outline
    left, right, counts = edges[kept], edges[kept + 1], counts[kept]
    bars = go.Bar(x=(left + right) / 2, y=sign * np.sqrt(counts), width=(right - left) * 0.9, name=name)
    bars.marker = {"color": colour, "opacity": 0.8, "line": {"width": 0}}
    if is_dead:
        pattern = {"shape": "/", "fgcolor": colours.ink, "bgcolor": colours.sheet, "size": 5, "solidity": 0.35}
        bars.marker = {"pattern": pattern, "line": {"width": 1, "color": colours.ink2}, "color": colours.sheet}
    bars.customdata = np.column_stack([counts, np.exp(left), np.exp(right)])
    bars.hovertemplate = "%{customdata[0]:.0f}<br>r %{customdata[1]:.3f} – %{customdata[2]:.3f}<extra></extra>"
    return bars


def _add_limits(figure: go.Figure, curve: Curve, colours: Theme, lang: str) -> None:
    """Draw the clip band, or the cap, behind the bars; a loss without either has none."""
    named = [r for r, _ in cp.named_ratios(curve) if r > 0]
    if curve.form == "clip":
        label: dict[str, Any] = {"annotation_text": word("band", lang), "annotation_position": "top left"}
        ground: dict[str, Any] = {"fillcolor": colours.band, "line_width": 0, "layer": "below"}
        low, high = log(max(curve.bounds.low, 1e-6)), log(curve.bounds.high)
        figure.add_vrect(x0=low, x1=high, **ground, **label, annotation_font_color=colours.ink2)
    for ratio in named:
        figure.add_vline(x=log(ratio), line={"color": colours.ink3, "width": 1, "dash": "dot"}, layer="below")
    figure.add_hline(y=0, line={"color": colours.ink3, "width": 1})


def _set_axes(figure: go.Figure, curve: Curve, reach: float, tallest: int, lang: str) -> None:
    ticks = cp.ratio_ticks(curve, reach)
    figure.update_xaxes(
        range=[-reach * 1.02, reach * 1.02],
        tickvals=[log(tick.ratio) for tick in ticks],
        ticktext=[leaning(tick.text, tick.lean) for tick in ticks],
        tickangle=0,  # Plotly would turn labels whose blanks touch
        ticks="outside",
        title_text=word("sequence_axis" if curve.is_by_completion else "ratio_axis", lang),
    )
    counts = count_ticks(tallest)
    figure.update_yaxes(
        range=[-1.15 * tallest**0.5, 1.15 * tallest**0.5],
        tickvals=[sign * n**0.5 for n in counts for sign in ((1, -1) if n else (1,))],
        ticktext=[str(n) for n in counts for _ in range(2 if n else 1)],
        title_text=word("count_completions" if curve.is_by_completion else "count", lang),
    )


def count_ticks(tallest: int) -> Sequence[int]:
    """Return round counts to label on a square-root axis that ends at `tallest`.

    >>> count_ticks(120), count_ticks(3)
    ([0, 10, 40, 100], [0, 1, 3])
    """
    if tallest < 10:
        return sorted({0, 1, tallest})
    unit = 10 ** int(np.log10(tallest))
    lead = tallest // unit
    if lead == 1:
        return [0, unit // 10, 4 * unit // 10, unit]
    return [0, unit, lead * unit] if lead < 5 else [0, unit, 4 * unit]
