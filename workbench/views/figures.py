"""What all Plotly figures share: the theme's colours, quiet axes, titles at the left edge, a sentence when empty."""

from html import escape
from typing import Any

import plotly.graph_objects as go

from workbench.views.theme import FONT, THEMES, Theme

HOVER_LETTERS = (56, 30)  # in a line of a hover, English and Chinese


def theme_of(name: str) -> Theme:
    return THEMES.get(name, THEMES["light"])


def plain(text: str) -> str:
    """Return `text` as Plotly shows it letter by letter: it reads tags in every label and hover text."""
    return escape(text, quote=False)


def heading(title: str, note: str, colours: Theme) -> str:
    """Return a title in ink with a quiet note after it."""
    return f"<b>{title}</b>  <span style='color:{colours.ink2};font-size:12px'>{note}</span>"


def leaning(text: str, lean: int) -> str:
    """Return the label of a tick, which Plotly centres, with blanks that push it to the left (-1) or the right (1).

    >>> leaning("1", 0), leaning("1+ε", 1).strip("\\N{NO-BREAK SPACE}")
    ('1', '1+ε')
    """
    blanks = "\N{NO-BREAK SPACE}" * (2 * len(text) + 4) * abs(lean)  # each half as wide as a letter
    return blanks + text if lean > 0 else text + blanks


def look(colours: Theme) -> dict[str, Any]:
    """Return the layout that all figures have."""
    return {
        "template": None,
        "paper_bgcolor": colours.sheet,
        "plot_bgcolor": colours.sheet,
        "font": {"family": FONT, "size": 11, "color": colours.ink2},
        "hoverlabel": {"bgcolor": colours.sheet, "bordercolor": colours.line2, "font": {"color": colours.ink}},
    }


def themed(figure: go.Figure, colours: Theme, title: str, **layout: Any) -> go.Figure:
    """Lay the theme over `figure`, with its title and legend, and return it."""
    axis: dict[str, Any] = {"gridcolor": colours.line, "linecolor": colours.line2, "zerolinecolor": colours.line2}
    figure.update_xaxes(**axis, showgrid=False, zeroline=False, tickcolor=colours.line2, title_font_size=11)
    figure.update_yaxes(**axis, zeroline=False, title_font_size=11)
    place = {"x": 0, "xref": "paper", "xanchor": "left", "y": 0.97}
    settings = {
        "margin": {"l": 56, "r": 20, "t": 76, "b": 76},
        "height": 400,
        "title": {"text": title, "font": {"size": 14, "color": colours.ink}, **place},
        "legend": {"orientation": "h", "x": 0, "y": -0.22, "itemclick": False, "itemdoubleclick": False},
    }
    return figure.update_layout(**look(colours) | settings | layout)


def sentence_of(sentence: str, colours: Theme, *, y: float = 0.5, axes: str | None = None) -> dict[str, Any]:
    """Return a note across the middle, of the panel with these axes ("" or "2") if given, on a legible ground."""
    return {
        "text": sentence,
        "x": 0.5,
        "y": y,
        "xref": "paper" if axes is None else f"x{axes} domain",
        "yref": "paper" if axes is None else f"y{axes} domain",
        "showarrow": False,
        "font": {"size": 13, "color": colours.ink},
        "bgcolor": colours.sheet,
        "borderpad": 6,
    }


def say(figure: go.Figure, sentence: str, colours: Theme, *, y: float = 0.5, axes: str | None = None) -> None:
    figure.add_annotation(sentence_of(sentence, colours, y=y, axes=axes))
