"""The lines of a panel over the steps: dots, exponential averages, and the labels at their ends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, TypeVar

from workbench.views.curve_panels import Line, Panel
from workbench.views.figures import plain
from workbench.views.theme import Theme
from workbench.views.words import reward_title

Row = Mapping[str, Any]
T = TypeVar("T")
Values = list[float | None]
Part = dict[str, Any]  # of a Plotly figure; made whole at the end, for Plotly checks every change of a figure anew
PART = "reward_parts/"
MOST_POINTS = 1000  # a curve of more steps shows every n-th, and the newest
SMOOTHING = 0.4  # weight of the newest step in the thick line
LABEL_PITCH = 0.17  # of a panel's height, between two labels
LONGEST_LABEL = 16  # letters of a reward function's name and its number that fit between a line and the next panel
MOST_COMPONENTS = 5  # reward functions that get a label; the others are thin lines with a hover text
SCALES_APART = 4.0  # reward scales that differ by more than this factor do not share an axis


@dataclass(frozen=True)
class Curve:
    """A line with its values, one a step, and where they are drawn: as they are, or on a scale of their own."""

    line: Line
    values: Values
    heights: Values


def curves_of(panel: Panel, rows: Sequence[Row]) -> list[Curve]:
    """Return the panel's curves; a learned and a true reward of very different scales each fill the panel's height."""
    lines = list(panel.lines) + (reward_components(rows) if panel.is_reward and len(panel.lines) == 1 else [])
    values = [[value_of(row, line.metric) for row in rows] for line in lines]
    heights = [to_unit(each) for each in values] if has_own_scales(panel, values) else values
    return [Curve(*parts) for parts in zip(lines, values, heights, strict=True)]


def has_own_scales(panel: Panel, values: Sequence[Values]) -> bool:
    """Return whether the two rewards of a panel need a scale each: their sizes differ by more than a factor of 4.

    >>> from workbench.views.curve_panels import LEARNED_REWARD, REWARD
    >>> has_own_scales(LEARNED_REWARD, [[0.0, 9.0], [0.1, 1.0]]), has_own_scales(LEARNED_REWARD, [[3.0], [1.0]])
    (True, False)
    """
    if not panel.is_reward or len(panel.lines) < 2:
        return False
    sizes = [max((abs(value) for value in each if value is not None), default=0.0) for each in values]
    return min(sizes) > 0 and max(sizes) > SCALES_APART * min(sizes)


def to_unit(values: Values) -> Values:
    """Return the values between 0, the lowest, and 1, the highest; a gap stays a gap.

    >>> to_unit([2.0, None, 6.0, 4.0])
    [0.0, None, 1.0, 0.5]
    """
    known = [value for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    width = high - low if high > low else 1.0
    return [None if value is None else (value - low) / width for value in values]


def thinned(rows: Sequence[T]) -> Sequence[T]:
    """Return at most about `MOST_POINTS` rows, evenly spaced, the newest always among them."""
    stride = max(1, -(-len(rows) // MOST_POINTS))
    return rows[(len(rows) - 1) % stride :: stride] if rows else []


def smoothed(values: Sequence[float | None]) -> Values:
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
    tones = ("s1", "s2", "s3")
    labels = [(reward_title(name, "en"), reward_title(name, "zh")) for name in names]
    return [Line(PART + name, labels[i], tones[min(i, 2)]) for i, name in enumerate(names)]


def _fitted(name: str, room: int) -> str:
    return name if len(name) <= room else name[: room - 1].rstrip() + "…"


def value_span(panel: Panel, heights: Sequence[Sequence[float | None]]) -> tuple[float, float]:
    """Return the ends of a panel's axis: 0, all values, and a little room above."""
    known = [value for each in heights for value in each if value is not None and isfinite(value)]
    low, high = min([0.0, *known]), max([0.0, panel.at_least, *known])
    high = high if high > low else low + 1.0
    room = 0.08 * (high - low)
    return low - (room if low < 0 else 0.0), high + room


def points_of(curve: Curve, rows: Sequence[Row]) -> tuple[list[float], Values]:
    """Return where the dots of a curve are: one a step; of a row that stands for many steps, its lowest and highest."""
    points: list[tuple[float, float | None]] = []
    for row, height in zip(rows, curve.heights, strict=True):
        extremes = row.get("extremes", {}).get(curve.line.metric)
        has_own_scale = curve.heights is not curve.values
        points += [(row["step"], height)] if extremes is None or has_own_scale or height is None else sorted(extremes)
    return [step for step, _ in thinned(points)], [value for _, value in thinned(points)]


def traces_of(
    curve: Curve, steps: Sequence[int], points: tuple[list[float], Values], colours: Theme, lang: str
) -> list[Part]:
    """Return the dots of the steps and their smoothed line; of a reward's part the line alone.

    A line of one point is a dot, or nothing would be seen of it.
    """
    line, colour = curve.line, getattr(colours, curve.line.colour)
    label, is_thin = plain(line.label[lang == "zh"]), line.metric.startswith(PART)
    name = label or line.metric
    smooth: Part = {
        "x": steps,
        "y": thinned(smoothed(curve.heights)),
        "name": name,
        "mode": "lines",
        "line": {"color": colour, "width": 1.2 if is_thin else 2, "dash": line.dash},
        "connectgaps": False,
        "customdata": thinned(curve.values),
        "hovertemplate": f"{label} %{{customdata:.4~g}}<extra></extra>",
    }
    if sum(value is not None for value in curve.heights) == 1:
        smooth |= {"mode": "lines+markers", "marker": {"color": colour, "size": 6}}
    if is_thin:
        return [smooth]
    marker = {"color": colour, "size": 4, "opacity": 0.35 if len(steps) < 200 else 0.15}
    dots: Part = {"x": points[0], "y": points[1], "name": name, "mode": "markers", "marker": marker}
    return [dots | {"hoverinfo": "skip"}, smooth]


def band_of(rows: Sequence[Row], colours: Theme) -> list[Part]:
    """Return the band between the groups' 10 % and 90 % quantiles."""
    steps = [row["step"] for row in rows]
    quiet: Part = {"x": steps, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    low, high = (quiet | {"y": [row[name] for row in rows], "name": name} for name in ("reward_low", "reward_high"))
    return [low, high | {"fill": "tonexty", "fillcolor": colours.line}]


def end_labels(
    panel: Panel, curves: Sequence[Curve], span: tuple[float, float], colours: Theme, lang: str
) -> list[Part]:
    """Return each line's label and the height of its end; labels that would touch are moved apart."""
    ends = []
    for curve in curves:
        average = smoothed(curve.heights)[-1] if curve.heights else None
        if average is not None and (curve.line.label[0] or len(curves) == 1):
            ends.append((average, _end_label(curve, panel, colours, lang)))
    ends = _largest(ends)
    heights = spread([end for end, _ in ends], LABEL_PITCH * (span[1] - span[0]), span)
    return [{"y": y, "text": text, "bgcolor": colours.sheet} for (_, text), y in zip(ends, heights, strict=True)]


def _largest(ends: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Return the first and, of the others, those that end farthest from 0, in their order."""
    kept = sorted(range(1, len(ends)), key=lambda i: -abs(ends[i][0]))[:MOST_COMPONENTS]
    return [end for i, end in enumerate(ends) if i == 0 or i in kept]


def percent(share: float) -> str:
    """Return a share in per cent, with two digits.

    >>> percent(0.375), percent(0.00393), percent(1.0), percent(0.0)
    ('38%', '0.39%', '100%', '0%')
    """
    return f"{100 * share:.0f}%" if share >= 0.1 else f"{100 * share:.2g}%"


def short(value: float) -> str:
    """Return a number with three digits, or its exponent where it is too small or too large to be written out.

    >>> short(0.4753), short(-12.345), short(1234.5), short(1.12e-7), short(0.0), short(1.884e6)
    ('0.475', '−12.3', '1234', '1e−7', '0', '1.9e6')
    """
    size = abs(value)
    if size != 0 and not 1e-3 <= size < 1e4:
        mantissa, power = f"{value:.{int(size > 1)}e}".split("e")
        return f"{mantissa}e{int(power)}".replace("-", "−")
    return (f"{value:.0f}" if size >= 1000 else f"{value:.3g}").replace("-", "−")


def _end_label(curve: Curve, panel: Panel, colours: Theme, lang: str) -> str:
    line, newest = curve.line, curve.values[-1]
    number = "–" if newest is None else percent(newest) if panel.is_share else short(newest)
    sign = f"<span style='color:{getattr(colours, line.colour)}'>{line.sign}</span> " if line.sign else ""
    label = line.label[lang == "zh"]
    name = plain(_fitted(label, LONGEST_LABEL - 1 - len(number)) if line.metric.startswith(PART) else label)
    tone = colours.ink if line.colour == "ink" else colours.ink2
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
