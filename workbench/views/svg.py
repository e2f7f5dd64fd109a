"""SVG as text: pictures that are complete without JavaScript. Whatever is written into one is escaped here."""

from html import escape
from math import floor, log10
from typing import Any

from workbench.views.theme import FONT, Theme

Part = str


def tag(name: str, text: str | None = None, **attributes: Any) -> Part:
    """Return an element; `stroke_width` becomes `stroke-width`.

    >>> tag("text", "<b>", x=1, font_size=11)
    '<text x="1" font-size="11">&lt;b&gt;</text>'
    """
    given = "".join(f' {key.replace("_", "-")}="{escape(_number(value))}"' for key, value in attributes.items())
    return f"<{name}{given}/>" if text is None else f"<{name}{given}>{escape(text)}</{name}>"


def _number(value: object) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def line(x1: float, y1: float, x2: float, y2: float, stroke: str, **attributes: Any) -> Part:
    return tag("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), stroke=stroke, **attributes)


def polyline(points: list[tuple[float, float]], stroke: str, **attributes: Any) -> Part:
    text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return tag("polyline", points=text, fill="none", stroke=stroke, stroke_linejoin="round", **attributes)


def document(width: int, height: int, parts: list[Part], colours: Theme, label: str) -> str:
    """Return a whole SVG document on the theme's sheet; `label` is what a screen reader says."""
    ground = tag("rect", width=width, height=height, fill=colours.sheet)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{escape(label)}" font-family="{escape(FONT)}" font-size="11" fill="{colours.ink2}">'
    )
    return head + ground + "".join(parts) + "</svg>"


def round_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Return about `count` round numbers inside [low, high].

    >>> round_ticks(0.0, 1.5)
    [0.0, 0.5, 1.0, 1.5]
    """
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** floor(log10(rough))
    unit = next(m * power for m in (1, 2, 5, 10) if rough <= m * power * (1 + 1e-9))
    first = -floor(-low / unit + 1e-9)
    return [round((first + i) * unit, 10) for i in range(floor(high / unit + 1e-9) - first + 1)]


def text_width(text: str) -> float:
    """Return about how wide `text` is at 11 px: Chinese letters are square, others half as wide."""
    return sum(11.0 if ord(letter) > 0x2E80 else 5.7 for letter in text)
