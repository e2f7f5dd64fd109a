"""The curves of a run as one Plotly figure: nine small multiples on one step axis, crossed by the knob changes."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.run.knobs import knob_spec
from workbench.views.theme import FONT, THEMES, Theme

Row = Mapping[str, Any]
COLUMNS = 3
MOST_POINTS = 2000  # a curve of more steps shows every n-th
SMOOTHING = 0.4  # weight of the newest step in the thick line

# panel: (title en, title zh, unit en, unit zh, [(metric, label en, label zh, colour)])
PANELS: Sequence[tuple[str, str, str, str, Sequence[tuple[str, str, str, str]]]] = (
    ("Reward", "奖励 reward", "reward", "奖励", [("reward", "mean", "均值", "ink")]),
    ("Dead groups", "死组 dead groups", "share of groups", "占比", [("frac_reward_zero_std", "dead", "死组", "s1")]),
    ("KL to the reference", "与参考策略的 KL", "nats per token", "nats / 词元", [("kl", "KL", "KL", "kl")]),
    (
        "Zero gradient by the clip",
        "被裁剪 clip",
        "share of tokens",
        "词元占比",
        [
            ("clip_ratio/high_mean", "A > 0, above", "A > 0，上界", "up"),
            ("clip_ratio/low_mean", "A < 0, below", "A < 0，下界", "dn"),
        ],
    ),
    ("Entropy", "熵 entropy", "nats per token", "nats / 词元", [("entropy", "entropy", "熵", "entropy")]),
    (
        "Length",
        "长度 length",
        "tokens",
        "词元",
        [
            ("completions/mean_length", "all", "全部", "ink"),
            ("completions/mean_terminated_length", "ended", "正常结束", "s2"),
        ],
    ),
    (
        "Cut off",
        "截断 cut off",
        "share of completions",
        "回答占比",
        [("completions/clipped_ratio", "cut off", "截断", "s1")],
    ),
    ("Gradient norm", "梯度范数 grad norm", "before clipping", "裁剪前", [("grad_norm", "norm", "范数", "ink")]),
    ("Time of a step", "每步用时", "seconds", "秒", [("step_time", "time", "用时", "s1")]),
)


def curves_figure(rows: Sequence[Row], events: Sequence[Row], *, theme: str = "light", lang: str = "en") -> go.Figure:
    """Return the figure of all curves of a run.

    Thick lines are exponential averages (the newest step weighs 0.4), dots are the steps themselves. A value that was not
    measured is a gap. Dashed lines are knob changes, numbered on the first row; hover a number to read the change.
    """
    colours, is_zh = THEMES.get(theme, THEMES["light"]), lang == "zh"
    titles = [zh if is_zh else en for en, zh, *_ in PANELS]
    figure = make_subplots(
        rows=-(-len(PANELS) // COLUMNS),
        cols=COLUMNS,
        shared_xaxes="all",
        subplot_titles=titles,
        horizontal_spacing=0.06,
    )
    kept = rows[:: max(1, -(-len(rows) // MOST_POINTS))]
    steps = [row["step"] for row in kept]
    for number, (_, _, unit_en, unit_zh, lines) in enumerate(PANELS):
        place = {"row": number // COLUMNS + 1, "col": number % COLUMNS + 1}
        for metric, label_en, label_zh, colour in lines:
            values = [row["metrics"].get(metric) for row in kept]
            for trace in _line(steps, values, label_zh if is_zh else label_en, getattr(colours, colour)):
                figure.add_trace(trace, **place)
        figure.update_yaxes(title_text=unit_zh if is_zh else unit_en, rangemode="tozero", **place)
    _add_components(figure, kept, steps, colours)
    _mark_knobs(figure, events, colours)
    return _styled(figure, colours, is_empty=not rows, is_zh=is_zh)


def _line(steps: Sequence[int], values: Sequence[float | None], label: str, colour: str) -> list[go.Scatter]:
    """Return the dots of the steps and their smoothed line."""
    dots = go.Scatter(x=steps, y=values, mode="markers", name=label, hoverinfo="skip")
    dots.marker = {"color": colour, "size": 3, "opacity": 0.35}
    line = go.Scatter(x=steps, y=smoothed(values), mode="lines", name=label, customdata=values, connectgaps=False)
    line.line = {"color": colour, "width": 2}
    line.hovertemplate = f"{label} %{{customdata:.4g}}<extra></extra>"
    return [dots, line]


def smoothed(values: Sequence[float | None]) -> list[float | None]:
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


def _add_components(figure: go.Figure, rows: Sequence[Row], steps: Sequence[int], colours: Theme) -> None:
    """Draw each reward function's mean as a thin line under the total."""
    metrics = rows[-1]["metrics"] if rows else {}
    names = [name for name in metrics if name.startswith("rewards/") and name.endswith("/mean")]
    for number, name in enumerate(names):
        label = name.removeprefix("rewards/").removesuffix("/mean")
        line = go.Scatter(x=steps, y=[row["metrics"].get(name) for row in rows], mode="lines", name=label)
        line.line = {"color": (colours.s1, colours.s2, colours.s3)[min(number, 2)], "width": 1.2}
        line.hovertemplate = f"{label} %{{y:.3f}}<extra></extra>"
        figure.add_trace(line, row=1, col=1)


def _mark_knobs(figure: go.Figure, events: Sequence[Row], colours: Theme) -> None:
    for event in events:
        figure.add_vline(x=event["step"], line={"color": colours.ink2, "width": 1, "dash": "dot"}, row="all", col="all")
    for column in range(1, COLUMNS + 1):
        for event in events:
            figure.add_annotation(
                x=event["step"],
                y=1.0,
                yref="y domain",
                yanchor="bottom",
                text=str(event["index"] + 1),
                hovertext=describe_change(event),
                showarrow=False,
                font={"size": 10, "color": colours.sheet},
                bgcolor=colours.ink,
                row=1,
                col=column,
            )


def describe_change(event: Row) -> str:
    """Return a knob change in symbols.

    >>> describe_change({"step": 15, "knob": "beta", "old": 0.04, "new": 0.1})
    'β 0.04 → 0.1 @ 15'
    """
    old, new = ("–" if value is None else value for value in (event["old"], event["new"]))
    return f"{knob_spec(event['knob']).symbol} {old} → {new} @ {event['step']}"


def _styled(figure: go.Figure, colours: Theme, *, is_empty: bool, is_zh: bool) -> go.Figure:
    axis = {"gridcolor": colours.line, "linecolor": colours.line2, "zerolinecolor": colours.line2, "automargin": True}
    figure.update_xaxes(**axis, showgrid=False, showspikes=True, spikethickness=1, spikecolor=colours.ink3)
    figure.update_yaxes(**axis, title_standoff=4, title_font={"size": 11, "color": colours.ink3})
    for column in range(1, COLUMNS + 1):
        figure.update_xaxes(title_text="步" if is_zh else "step", row=len(PANELS) // COLUMNS, col=column)
    figure.update_annotations(selector={"yref": "paper"}, font={"size": 13, "color": colours.ink})
    figure.update_layout(
        template=None,
        paper_bgcolor=colours.sheet,
        plot_bgcolor=colours.sheet,
        font={"family": FONT, "size": 11, "color": colours.ink3},
        margin={"l": 48, "r": 16, "t": 40, "b": 40},
        hovermode="x",
        showlegend=False,
        uirevision="curves",
    )
    if is_empty:
        sentence = (
            "还没有步骤：开始训练后，曲线会出现在这里" if is_zh else "No steps yet: train, and the curves appear here"
        )
        figure.add_annotation(text=sentence, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False)
    return figure
