"""The reward over the steps, with a numbered line where a knob changed, as a static SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.views import svg
from workbench.views.curve_lines import smoothed, spread, thinned
from workbench.views.figures import theme_of
from workbench.views.knobmarks import KnobMark, describe_change, knob_marks
from workbench.views.theme import Theme
from workbench.views.words import word

Row = Mapping[str, Any]
WIDTH, HEIGHT = 860, 240
LEFT, RIGHT, TOP, BOTTOM = 44, 76, 66, 40


@dataclass(frozen=True)
class Axes:
    """Where a step and a reward lie."""

    first: int
    last: int
    low: float
    high: float

    def x(self, step: float) -> float:
        return LEFT + (step - self.first) / max(self.last - self.first, 1) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return TOP + (self.high - value) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)


def reward_svg(rows: Sequence[Row], events: Sequence[Row], *, theme: str = "light", lang: str = "en") -> str:
    """Return the mean reward of every step: dots, their exponential average, and the knob changes. A gap stays one.

    Of a run with a learned reward, that is the dashed line, and the solid one is the true reward.
    """
    colours, title = theme_of(theme), word("reward", lang).capitalize()
    parts = [svg.tag("text", title, x=LEFT, y=18, font_size=14, font_weight=650, fill=colours.ink)]
    if not rows:
        parts.append(svg.tag("text", word("no_steps", lang), x=WIDTH / 2, y=HEIGHT / 2, text_anchor="middle"))
        return svg.document(WIDTH, HEIGHT, parts, colours, word("no_steps", lang))
    parts.append(svg.tag("text", word("reward_note", lang), x=WIDTH - 12, y=18, text_anchor="end", font_size=12))
    lines = _lines(rows, colours, lang)
    known = [value for line in lines for value in line.values if value is not None]
    low, high = min([0.0, *known]), max([0.0, *known]) * 1.08
    axes = Axes(rows[0]["step"], rows[-1]["step"], low, high if high > low else low + 1)
    parts += _ground(axes, colours, lang) + _knobs(knob_marks(events), axes, colours)
    parts += [part for line in lines for part in _curve(axes, [row["step"] for row in rows], line)]
    return svg.document(WIDTH, HEIGHT, parts + _end_labels(axes, lines, colours), colours, title)


@dataclass(frozen=True)
class _Line:
    """A reward over the steps, with its name where there are two."""

    name: str
    values: Sequence[float | None]
    colour: str
    dash: str = "none"


def _lines(rows: Sequence[Row], colours: Theme, lang: str) -> list[_Line]:
    rewards, true = ([row["metrics"].get(name) for row in rows] for name in ("reward", "true_reward"))
    if all(value is None for value in true):
        return [_Line("", rewards, colours.ink)]
    return [_Line(word("learned", lang), rewards, colours.s1, "6 4"), _Line(word("true", lang), true, colours.ink)]


def _curve(axes: Axes, steps: Sequence[int], line: _Line) -> list[svg.Part]:
    """Return a reward's dots and its average."""
    dots = thinned([None if v is None else (axes.x(s), axes.y(v)) for s, v in zip(steps, line.values, strict=True)])
    averages = zip(steps, smoothed(line.values), strict=True)
    places = thinned([None if v is None else (axes.x(s), axes.y(v)) for s, v in averages])
    parts = [svg.tag("circle", cx=dot[0], cy=dot[1], r=2.0, fill=line.colour, fill_opacity=0.35) for dot in dots if dot]
    stroke = {"stroke_width": 2, "stroke_dasharray": line.dash}
    return parts + [svg.polyline(piece, line.colour, **stroke) for piece in pieces(places)]


def _end_labels(axes: Axes, lines: Sequence[_Line], colours: Theme) -> list[svg.Part]:
    """Return each line's newest number at its end; two that would touch are moved apart."""
    ends = [(smoothed(line.values)[-1], line) for line in lines]
    ends = [(axes.y(average), line) for average, line in ends if average is not None]
    heights = spread([y for y, _ in ends], 14.0, (float(TOP), float(HEIGHT - BOTTOM)))
    place = {"x": axes.x(axes.last) + 8, "font_weight": 600}
    return [
        svg.tag("text", f"{line.name} {line.values[-1]:.2f}".strip(), y=y + 4, fill=colours.ink, **place)
        for y, (_, line) in zip(heights, ends, strict=True)
    ]


def pieces(places: Sequence[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    """Return the unbroken runs of places.

    >>> pieces([(0, 0), None, (2, 0), (3, 0)])
    [[(0, 0)], [(2, 0), (3, 0)]]
    """
    runs: list[list[tuple[float, float]]] = [[]]
    for place in places:
        if place is None:
            runs.append([])
        else:
            runs[-1].append(place)
    return [run for run in runs if run]


def _ground(axes: Axes, colours: Theme, lang: str) -> list[svg.Part]:
    parts, base = [], HEIGHT - BOTTOM
    for value in svg.round_ticks(axes.low, axes.high, 4):
        y = axes.y(value)
        parts.append(svg.line(LEFT, y, WIDTH - RIGHT, y, colours.line))
        parts.append(svg.tag("text", f"{value:g}".replace("-", "−"), x=LEFT - 6, y=y + 4, text_anchor="end"))
    parts.append(svg.line(LEFT, base, WIDTH - RIGHT, base, colours.ink3))
    for step in sorted({axes.first, *(int(s) for s in svg.round_ticks(axes.first, axes.last, 5) if s == int(s))}):
        parts.append(svg.tag("text", str(step), x=axes.x(step), y=base + 16, text_anchor="middle"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    return [*parts, svg.tag("text", word("step", lang), x=middle, y=base + 32, text_anchor="middle")]


def _knobs(marks: Sequence[KnobMark], axes: Axes, colours: Theme) -> list[svg.Part]:
    """Return the lines and discs of the knob changes, and their words where the next one leaves them room."""
    parts = []
    ends = [*(axes.x(mark.step) - 10 for mark in marks[1:]), float(WIDTH)][: len(marks)]
    for mark, end in zip(marks, ends, strict=True):
        x, words = axes.x(mark.step), ", ".join(map(describe_change, mark.events))
        parts.append(svg.line(x, TOP - 12, x, HEIGHT - BOTTOM, colours.ink3, stroke_dasharray="2 3"))
        parts.append(svg.tag("circle", cx=x, cy=TOP - 20.0, r=7.5, fill=colours.ink))
        number = {"x": x, "y": TOP - 16.5, "text_anchor": "middle", "font_weight": 650, "font_size": 10}
        parts.append(svg.tag("text", str(mark.number), fill=colours.sheet, **number))
        if x + 12 + svg.text_width(words) < end:
            parts.append(svg.tag("text", words, x=x + 12, y=TOP - 16, fill=colours.ink2))
        elif mark is marks[-1]:  # at the end of the axis: to the left of its disc
            parts.append(svg.tag("text", words, x=x - 12, y=TOP - 16, fill=colours.ink2, text_anchor="end"))
    return parts
