"""The clip plot as a static SVG: the same tokens and curve as `clip_figure`, for where no script runs."""

from dataclasses import dataclass
from math import exp, log

import numpy as np

from workbench.run.completion import GroupRecord
from workbench.views import clipplane as cp
from workbench.views import svg
from workbench.views.clipplane import Marks
from workbench.views.clipwords import KINDS, clip_summary, in_two_lines, legend_kinds, region_of_words, value_range
from workbench.views.figures import theme_of
from workbench.views.objectives import WEIGHTS, Curve
from workbench.views.theme import Theme
from workbench.views.words import word

WIDTH, HEIGHT = 860, 340
TOP, BOTTOM, LEFT, GAP = 62, 60, 44, 52
PANEL = (WIDTH - LEFT - GAP - 12) / 2
HEADROOM = 40  # pixels above the curve, for the words


@dataclass(frozen=True)
class Panel:
    """One sign's panel: where a log-ratio and a value of the objective lie."""

    sign: int
    left: float
    reach: float
    low: float
    high: float

    def x(self, log_ratio: float) -> float:
        inside = min(self.reach, max(-self.reach, log_ratio))
        return self.left + (inside + self.reach) / (2 * self.reach) * PANEL

    def y(self, value: float) -> float:
        height = HEIGHT - TOP - BOTTOM - HEADROOM
        return TOP + HEADROOM + (self.high - value) / (self.high - self.low) * height


def clip_svg(
    group: GroupRecord, *, update: int = -1, method: str = "grpo", theme: str = "light", lang: str = "en"
) -> str:
    """Return the picture of `clip_figure` as an SVG document. Raises IndexError as that does."""
    colours, num_updates = theme_of(theme), len(group.completions[0].logps_by_update)
    marks, curve = cp.token_marks(group, update), Curve(group.completions[0].knobs)
    reach, summary = cp.log_reach(marks, curve), clip_summary(marks, curve, num_updates, update, lang)
    sentence = cp.why_no_curve(method, lang)
    if sentence:
        says = svg.tag("text", sentence, x=WIDTH / 2, y=30.0, text_anchor="middle", font_size=13, fill=colours.ink)
        return svg.document(WIDTH, 60, [says], colours, sentence)
    title = word(f"{curve.form}_title", lang)
    parts = [svg.tag("text", title, x=LEFT, y=18, font_size=14, font_weight=650, fill=colours.ink)]
    parts.append(svg.tag("text", summary, x=WIDTH - 12, y=18, text_anchor="end", font_size=12))
    for sign in cp.SIGNS:
        panel = _panel(sign, curve, reach)
        own = marks.where(marks.sign == sign)
        parts += _ground(panel, curve, colours, lang) + _marks(panel, own, curve, colours)
    sentence = cp.why_empty(group, marks, lang) or cp.why_all_one(marks, num_updates, lang)
    if sentence:
        parts += _sentence(in_two_lines(sentence).split("<br>"), colours)
    parts += _legend(marks, curve, reach, colours, lang)
    return svg.document(WIDTH, HEIGHT, parts, colours, f"{title}: {sentence or summary}")


def _panel(sign: int, curve: Curve, reach: float) -> Panel:
    left = LEFT if sign > 0 else LEFT + PANEL + GAP
    return Panel(sign, left, reach, *value_range(curve.value(np.exp(_samples(curve, reach)), sign), curve))


def _samples(curve: Curve, reach: float) -> np.ndarray:
    return np.union1d(np.linspace(-reach, reach, 81), curve.kinks(reach))


def _ground(panel: Panel, curve: Curve, colours: Theme, lang: str) -> list[svg.Part]:
    """Return regions, limits, curve and axes of one panel."""
    right, base = panel.left + PANEL, HEIGHT - BOTTOM
    name = word("positive" if panel.sign > 0 else "negative", lang)
    parts = [svg.tag("text", name, x=panel.left, y=TOP - 8, font_size=12, font_weight=600, fill=colours.ink)]
    for start, end in curve.flat_ranges(panel.sign):
        left, width = panel.x(_log(start)), panel.x(_log(end)) - panel.x(_log(start))
        parts.append(svg.tag("rect", x=left, y=TOP, width=width, height=base - TOP, fill=colours.dead))
        parts += _words(left, width, word("flat", lang), colours.ink2)
    start, end, note = region_of_words(curve, panel.sign, panel.reach)
    parts += _words(panel.x(_log(start)), panel.x(_log(end)) - panel.x(_log(start)), word(note, lang), colours.ink3)
    for value in svg.round_ticks(panel.low, panel.high):
        parts.append(svg.line(panel.left, panel.y(value), right, panel.y(value), colours.line))
        place = {"x": panel.left - 6, "y": panel.y(value) + 4, "text_anchor": "end"}
        parts.append(svg.tag("text", f"{value:g}".replace("-", "−"), **place))
    for ratio, text in ((1.0, "1"), *cp.named_ratios(curve)):
        x, (stroke, dash) = panel.x(_log(ratio)), (colours.line2, "none") if text == "1" else (colours.ink3, "2 3")
        parts.append(svg.line(x, TOP, x, base, stroke, stroke_dasharray=dash))
    logs = _samples(curve, panel.reach)
    points = list(zip(map(panel.x, logs), map(panel.y, curve.value(np.exp(logs), panel.sign)), strict=True))
    colour = colours.up if panel.sign > 0 else colours.dn
    parts.append(svg.polyline(points, colour, stroke_opacity=0.45, stroke_width=2.5))
    return [*parts, *_ratio_axis(panel, curve, colours, lang)]


def _log(ratio: float) -> float:
    return log(min(max(ratio, 1e-9), 1e9))


def _words(left: float, width: float, text: str, colour: str) -> list[svg.Part]:
    """Return words in a region, broken at their comma; none where they do not fit."""
    lines = text.replace("，", "，\n").replace(", ", ",\n").split("\n")
    if width < 76:
        return []
    place = {"x": left + width / 2, "text_anchor": "middle", "fill": colour}
    return [svg.tag("text", part, y=TOP + 15 + 14 * i, **place) for i, part in enumerate(lines)]


def _ratio_axis(panel: Panel, curve: Curve, colours: Theme, lang: str) -> list[svg.Part]:
    base = HEIGHT - BOTTOM
    parts = [svg.line(panel.left, base, panel.left + PANEL, base, colours.ink3)]
    for tick in cp.ratio_ticks(curve, panel.reach):
        x, anchor = panel.x(_log(tick.ratio)), ("end", "middle", "start")[tick.lean + 1]
        parts.append(svg.line(x, base, x, base + 4, colours.ink3))
        parts.append(svg.tag("text", tick.text, x=x + 6 * tick.lean, y=base + 16, text_anchor=anchor))
    middle = panel.left + PANEL / 2
    axis = word("sequence_axis" if curve.is_by_completion else "ratio_axis", lang)
    parts.append(svg.tag("text", axis, x=middle, y=base + 32, text_anchor="middle"))
    if panel.sign > 0:
        unit = "g" if curve.form in WEIGHTS else word("objective_axis", lang)
        parts.append(svg.tag("text", unit, x=panel.left - 6, y=TOP + 8, text_anchor="end"))
    return parts


def _marks(panel: Panel, marks: Marks, curve: Curve, colours: Theme) -> list[svg.Part]:
    shown = np.clip(marks.log_ratio, -panel.reach, panel.reach)
    heights = curve.value(np.exp(shown), panel.sign)
    unit = (panel.high - panel.low) / (HEIGHT - TOP - BOTTOM - HEADROOM)
    parts = []
    for kind in KINDS:
        chosen = marks.kind == kind
        y = heights[chosen]
        if kind in (cp.OUTSIDE, cp.DEAD) or (curve.is_by_completion and kind == cp.LIVE):
            close = 7.5 * 2 * panel.reach / PANEL
            y = cp.stacked(shown[chosen], y, close=close, pitch=9 * unit, lowest=panel.low + 4 * unit)
        places = zip(map(panel.x, shown[chosen]), map(panel.y, y), strict=True)
        parts += [_mark(kind, panel.sign, *place, colours) for place in dict.fromkeys(_rounded(p) for p in places)]
    for value in marks.log_ratio[np.abs(marks.log_ratio) > panel.reach]:
        edge = np.array([exp(np.clip(value, -panel.reach, panel.reach))])
        height = float(curve.value(edge, panel.sign)[0])
        parts.append(_arrow(panel.x(value), panel.y(height), 1 if value > 0 else -1, colours))
    return parts


def _rounded(place: tuple[float, float]) -> tuple[float, float]:
    """Return the place to half a pixel: discs that lie on one another are written once."""
    return round(place[0] * 2) / 2, round(place[1] * 2) / 2


def _mark(kind: int, sign: int, x: float, y: float, colours: Theme, colour: str | None = None) -> svg.Part:
    colour = colour or (colours.up if sign > 0 else colours.dn)
    if kind == cp.LIVE:
        return svg.tag("circle", cx=x, cy=y, r=2.9, fill=colour, fill_opacity=0.55)
    if kind == cp.MASKED:
        return svg.tag("circle", cx=x, cy=y, r=2.6, fill="none", stroke=colours.ink3)
    if kind == cp.OUTSIDE:
        points = f"{x - 3.5 * sign:.1f},{y - 4.3:.1f} {x + 4.3 * sign:.1f},{y:.1f} {x - 3.5 * sign:.1f},{y + 4.3:.1f}"
        return svg.tag("polygon", points=points, fill=colours.sheet, stroke=colour, stroke_width=1.6)
    cross = f"M{x - 3.4:.1f} {y - 3.4:.1f}l6.8 6.8m0 -6.8l-6.8 6.8"
    return svg.tag("path", d=cross, stroke=colours.ink, stroke_width=1.5)


def _arrow(x: float, y: float, way: int, colours: Theme) -> svg.Part:
    points = f"{x - 8 * way:.1f},{y - 4:.1f} {x:.1f},{y:.1f} {x - 8 * way:.1f},{y + 4:.1f}"
    return svg.tag("polygon", points=points, fill=colours.ink)


def _sentence(lines: list[str], colours: Theme) -> list[svg.Part]:
    """Write the lines into both panels, with a halo that keeps them legible on the curve."""
    halo = {"paint_order": "stroke", "stroke": colours.sheet, "stroke_width": 6, "text_anchor": "middle"}
    middles = [LEFT + PANEL / 2, LEFT + PANEL + GAP + PANEL / 2]
    return [
        svg.tag("text", text, x=x, y=HEIGHT - BOTTOM - 34 + 18 * i, font_size=13, fill=colours.ink, **halo)
        for x in middles
        for i, text in enumerate(lines)
    ]


def _legend(marks: Marks, curve: Curve, reach: float, colours: Theme, lang: str) -> list[svg.Part]:
    parts, x, y = [], LEFT + 4.0, HEIGHT - 11.0
    for kind, name in legend_kinds(marks, curve):
        text = word(name, lang)
        parts.append(_mark(kind, 1, x, y, colours, colours.ink2))
        parts.append(svg.tag("text", text, x=x + 9, y=y + 4))
        x += 9 + svg.text_width(text) + 22
    if (np.abs(marks.log_ratio) > reach).any():
        parts += [_arrow(x + 4, y, 1, colours), svg.tag("text", word("off_scale", lang), x=x + 11, y=y + 4)]
    return parts
