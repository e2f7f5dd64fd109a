"""Where a step's time went, as a Plotly figure: seconds by stage, each beside its limit, and the fast paths."""

from itertools import accumulate
from textwrap import wrap
from typing import Any

import plotly.graph_objects as go

from workbench.run.fastpaths import FAST_PATHS
from workbench.run.record import StepRecord
from workbench.views.figures import HOVER_LETTERS, heading, look, plain, theme_of
from workbench.views.stages import Seconds, in_order, stage_words
from workbench.views.theme import Theme
from workbench.views.words import word

NARROWEST = 0.07  # share of the step that has room for a stage's name

TONES = {"reward_model": "dead", "sample": "s1", "reward": "line2", "score": "s3", "update": "s2", "record": "band"}


def timing_figure(record: StepRecord, *, theme: str = "light", lang: str = "en") -> go.Figure:
    """Return one stacked bar of a step's time by stage, with each stage's limit as a thin bar under it."""
    colours = theme_of(theme)
    timings = in_order(record.timings)
    total = sum(timings.values())
    ends = list(accumulate(timings.values()))
    starts = dict(zip(timings, [0.0, *ends], strict=False))
    traces = [_stage_trace(name, seconds, total, record.limits, colours, lang) for name, seconds in timings.items()]
    limited = [name for name in timings if name in record.limits]
    traces.append(
        {
            "type": "bar",
            "orientation": "h",
            "name": word("timing_limit", lang),
            "base": [starts[name] for name in limited],
            "x": [record.limits[name] for name in limited],
            "y": [1] * len(limited),
            "width": 0.3,
            "marker": {"color": colours.ink},
            "hovertemplate": [_hover(name, timings[name], total, record.limits, lang) for name in limited],
        }
    )
    speed = word("timing_total", lang, seconds=f"{total:.2f}", speed=f"{record.groups.num_tokens / (total or 1):.0f}")
    note = f"{word('timing_step', lang, step=record.step)}{speed}"
    title = heading(word("timing_title", lang), note, colours)
    layout = {
        "title": {"text": title, "font": {"size": 13, "color": colours.ink}, "x": 0, "xref": "container", "y": 1}
        | {"yref": "container", "yanchor": "top", "pad": {"t": 8}},
        "annotations": [_paths_note(record, lang)],
        "barmode": "stack",
        "height": 132,
        "margin": {"l": 8, "r": 8, "t": 32, "b": 40},
        "showlegend": False,
        "hovermode": "closest",
        "xaxis": {"visible": False, "range": [0, total or 1], "fixedrange": True},
        "yaxis": {"visible": False, "range": [1.4, -0.5], "fixedrange": True},
    }
    return go.Figure(data=traces, layout=look(colours) | layout)


def _stage_trace(name: str, seconds: float, total: float, limits: Seconds, colours: Theme, lang: str) -> dict[str, Any]:
    title = stage_words(name)[0][lang == "zh"]
    return {
        "type": "bar",
        "orientation": "h",
        "name": title,
        "x": [seconds],
        "y": [0],
        "width": 0.8,
        "text": [plain(title) if seconds > NARROWEST * total else ""],
        "textposition": "inside",
        "insidetextanchor": "start",
        "textfont": {"color": colours.sheet if name == "sample" else colours.ink},
        "hovertemplate": [_hover(name, seconds, total, limits, lang)],
        "marker": {"color": getattr(colours, TONES.get(name, "dead")), "line": {"color": colours.sheet, "width": 1}},
    }


def _hover(name: str, seconds: float, total: float, limits: Seconds, lang: str) -> str:
    title, about = (text[lang == "zh"] for text in stage_words(name))
    share = f"{seconds:.3f} s, {100 * seconds / total:.0f}%"
    of_limit = ""
    if name in limits:
        of_limit = "<br>" + word(
            "timing_factor", lang, limit=f"{limits[name]:.3g}", factor=f"{seconds / limits[name]:.1f}"
        )
    lines = "<br>".join(wrap(about, HOVER_LETTERS[lang == "zh"]))
    return f"<b>{plain(title)}</b> {share}{of_limit}<br>{lines}<extra></extra>"


def _paths_note(record: StepRecord, lang: str) -> dict[str, Any]:
    """Return what is written under the bar: the fast paths in use, or why there is nothing to say."""
    comma = "、" if lang == "zh" else ", "
    titles = [FAST_PATHS[name].title[lang == "zh"] for name in record.fast_paths]
    if titles:
        text = word("timing_paths", lang, paths=comma.join(titles))
    else:
        text = word("timing_plain" if record.limits else "timing_unknown", lang)
    lines = "<br>".join(wrap(text, 3 * HOVER_LETTERS[lang == "zh"]))
    return {"text": lines, "x": 0, "y": 0, "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "top"} | {
        "showarrow": False,
        "align": "left",
    }
