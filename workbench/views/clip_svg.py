"""The clip plot as a static SVG: the same tokens and curve as `clip_figure`, for where no script runs."""

from dataclasses import dataclass
from math import exp, log

import numpy as np

from workbench.run.record import GroupRecord
from workbench.views import clipplane as cp
from workbench.views import svg
from workbench.views.clip import KINDS, clip_summary, in_two_lines
from workbench.views.clipplane import Bounds, Marks
from workbench.views.figures import theme_of
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


def clip_svg(group: GroupRecord, *, update: int = -1, theme: str = "light", lang: str = "en") -> str:
    """Return the clip plot of `clip_figure` as an SVG document. Raises IndexError as that does."""
    colours, num_updates = theme_of(theme), len(group.completions[0].logps_by_update)
    marks, bounds = cp.token_marks(group, update), Bounds.of(group.completions[0].knobs)
    reach, summary = cp.log_reach(marks, bounds), clip_summary(marks, num_updates, update, lang)
    title = word("clip_title", lang)
    parts = [svg.tag("text", title, x=LEFT, y=18, font_size=14, font_weight=650, fill=colours.ink)]
    parts.append(svg.tag("text", summary, x=WIDTH - 12, y=18, text_anchor="end", font_size=12))
    for sign in cp.SIGNS:
        panel = _panel(sign, bounds, reach)
        own = marks.where(marks.sign == sign)
        parts += _ground(panel, bounds, colours, lang) + _marks(panel, own, bounds, colours)
    sentence = cp.why_empty(group, marks, lang) or cp.why_all_one(marks, num_updates, lang)
    if sentence:
        parts += _sentence(in_two_lines(sentence).split("<br>"), colours)
    parts += _legend(colours, lang, has_off_scale=bool((np.abs(marks.log_ratio) > reach).any()))
    return svg.document(WIDTH, HEIGHT, parts, colours, f"{title}: {sentence or summary}")


def _panel(sign: int, bounds: Bounds, reach: float) -> Panel:
    ends = cp.objective(np.exp(np.array([-reach, 0.0, reach])), sign, bounds)
    left = LEFT if sign > 0 else LEFT + PANEL + GAP
    return Panel(sign, left, reach, float(ends.min()), float(ends.max()))


def _ground(panel: Panel, bounds: Bounds, colours: Theme, lang: str) -> list[svg.Part]:
    """Return regions, limits, curve and axes of one panel."""
    right, base, reach = panel.left + PANEL, HEIGHT - BOTTOM, panel.reach
    name = word("positive" if panel.sign > 0 else "negative", lang)
    parts = [svg.tag("text", name, x=panel.left, y=TOP - 8, font_size=12, font_weight=600, fill=colours.ink)]
    for start, end in cp.flat_ranges(panel.sign, bounds):
        left, width = panel.x(_log(start)), panel.x(_log(end)) - panel.x(_log(start))
        parts.append(svg.tag("rect", x=left, y=TOP, width=width, height=base - TOP, fill=colours.dead))
        parts += _words(left, width, word("flat", lang), colours.ink2)
    start, end = (0.0, bounds.low) if panel.sign > 0 else (bounds.high, bounds.cap)
    parts += _words(
        panel.x(_log(start)), panel.x(_log(end)) - panel.x(_log(start)), word("outside", lang), colours.ink3
    )
    for value in svg.round_ticks(panel.low, panel.high):
        parts.append(svg.line(panel.left, panel.y(value), right, panel.y(value), colours.line))
        place = {"x": panel.left - 6, "y": panel.y(value) + 4, "text_anchor": "end"}
        parts.append(svg.tag("text", f"{value:g}".replace("-", "−"), **place))
    for ratio, dash in ((bounds.low, "2 3"), (1.0, "none"), (bounds.high, "2 3")):
        x, stroke = panel.x(_log(ratio)), colours.line2 if ratio == 1 else colours.ink3
        parts.append(svg.line(x, TOP, x, base, stroke, stroke_dasharray=dash))
    logs = np.union1d(
        np.linspace(-reach, reach, 81), [_log(r) for r in (bounds.low, bounds.high) if abs(_log(r)) < reach]
    )
    points = list(zip(map(panel.x, logs), map(panel.y, cp.objective(np.exp(logs), panel.sign, bounds)), strict=True))
    colour = colours.up if panel.sign > 0 else colours.dn
    parts.append(svg.polyline(points, colour, stroke_opacity=0.45, stroke_width=2.5))
    return [*parts, *_ratio_axis(panel, bounds, colours, lang)]


def _log(ratio: float) -> float:
    return log(min(max(ratio, 1e-9), 1e9))


def _words(left: float, width: float, text: str, colour: str) -> list[svg.Part]:
    """Return words in a region, broken at their comma; none where they do not fit."""
    lines = text.replace("，", "，\n").replace(", ", ",\n").split("\n")
    if width < 76:
        return []
    place = {"x": left + width / 2, "text_anchor": "middle", "fill": colour}
    return [svg.tag("text", part, y=TOP + 15 + 14 * i, **place) for i, part in enumerate(lines)]


def _ratio_axis(panel: Panel, bounds: Bounds, colours: Theme, lang: str) -> list[svg.Part]:
    base = HEIGHT - BOTTOM
    parts = [svg.line(panel.left, base, panel.left + PANEL, base, colours.ink3)]
    for ratio, text in cp.ratio_ticks(bounds, panel.reach):
        x = panel.x(_log(ratio))
        parts.append(svg.line(x, base, x, base + 4, colours.ink3))
        parts.append(svg.tag("text", text, x=x, y=base + 16, text_anchor="middle"))
    middle = panel.left + PANEL / 2
    parts.append(svg.tag("text", word("ratio_axis", lang), x=middle, y=base + 32, text_anchor="middle"))
    if panel.sign > 0:
        parts.append(svg.tag("text", word("objective_axis", lang), x=panel.left - 6, y=TOP + 8, text_anchor="end"))
    return parts


def _marks(panel: Panel, marks: Marks, bounds: Bounds, colours: Theme) -> list[svg.Part]:
    shown = np.clip(marks.log_ratio, -panel.reach, panel.reach)
    heights = cp.objective(np.exp(shown), panel.sign, bounds)
    unit = (panel.high - panel.low) / (HEIGHT - TOP - BOTTOM - HEADROOM)
    parts = []
    for kind, _ in KINDS:
        chosen = marks.kind == kind
        y = heights[chosen]
        if kind != cp.LIVE:
            close = 7.5 * 2 * panel.reach / PANEL
            y = cp.stacked(shown[chosen], y, close=close, pitch=9 * unit, lowest=panel.low + 4 * unit)
        places = zip(map(panel.x, shown[chosen]), map(panel.y, y), strict=True)
        parts += [_mark(kind, panel.sign, *place, colours) for place in dict.fromkeys(_rounded(p) for p in places)]
    for value in marks.log_ratio[np.abs(marks.log_ratio) > panel.reach]:
        height = float(cp.objective(np.array([exp(np.clip(value, -panel.reach, panel.reach))]), panel.sign, bounds)[0])
        parts.append(_arrow(panel.x(value), panel.y(height), 1 if value > 0 else -1, colours))
    return parts


def _rounded(place: tuple[float, float]) -> tuple[float, float]:
    """Return the place to half a pixel: discs that lie on one another are written once."""
    return round(place[0] * 2) / 2, round(place[1] * 2) / 2


def _mark(kind: int, sign: int, x: float, y: float, colours: Theme, colour: str | None = None) -> svg.Part:
    colour = colour or (colours.up if sign > 0 else colours.dn)
    if kind == cp.LIVE:
        return svg.tag("circle", cx=x, cy=y, r=2.9, fill=colour, fill_opacity=0.55)
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


def _legend(colours: Theme, lang: str, *, has_off_scale: bool) -> list[svg.Part]:
    parts, x, y = [], LEFT + 4.0, HEIGHT - 11.0
    for kind, name in KINDS:
        text = word(name, lang)
        parts.append(_mark(kind, 1, x, y, colours, colours.ink2))
        parts.append(svg.tag("text", text, x=x + 9, y=y + 4))
        x += 9 + svg.text_width(text) + 22
    if has_off_scale:
        parts += [_arrow(x + 4, y, 1, colours), svg.tag("text", word("off_scale", lang), x=x + 11, y=y + 4)]
    return parts
