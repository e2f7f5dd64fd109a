"""What training holds in memory, by part, as a Plotly figure: one stacked bar a method, this run's first."""

from collections.abc import Mapping, Sequence
from textwrap import wrap

import plotly.graph_objects as go

from workbench.run.methods import UNIFIED_VIEW
from workbench.views.curve_lines import Part
from workbench.views.figures import HOVER_LETTERS, heading, look, plain, theme_of
from workbench.views.theme import Theme
from workbench.views.words import word

Memory = Mapping[str, int]  # bytes by part
NARROWEST = 0.07  # share of the longest bar that has room for a part's name

# part: its name, and what it is, in English and Chinese
PARTS: Mapping[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "policy": (("policy", "策略"), ("The base model's weights. They stay frozen.", "基座模型的权重，始终冻结。")),
    "adapter": (
        ("adapter", "适配器"),
        ("The LoRA weights: all of the policy that is trained.", "LoRA 权重：策略中唯一被训练的部分。"),
    ),
    "gradients": (("gradients", "梯度"), ("One number for each trained weight.", "每个被训练的权重一个数。")),
    "optimizer": (
        ("optimizer", "优化器"),
        ("AdamW's two averages for each trained weight.", "AdamW 为每个被训练的权重保存两个平均值。"),
    ),
    "reference": (
        ("reference", "参考策略"),
        (
            "What the policy is held to. With LoRA it is the policy with the adapter off and needs no memory; a "
            "reference that is reset needs a copy of the adapter.",
            "策略被拉向它。用 LoRA 时关掉适配器就是参考策略，不占内存；会被重置的参考策略需要一份适配器副本。",
        ),
    ),
    "critic": (
        ("critic", "评论家"),
        (
            "PPO's second model, with its gradients and optimizer: it says what each token was worth. GRPO's group "
            "takes its place.",
            "PPO 的第二个模型及其梯度和优化器：估计每个词元的价值。GRPO 用组来代替它。",
        ),
    ),
    "reward_model": (
        ("reward model", "奖励模型"),
        (
            "The model that a learned reward comes from, with what trains it.",
            "给出学到的奖励的模型，以及训练它所需的部分。",
        ),
    ),
}
PEAK = "peak"  # of a GPU, what the step held at most: it is no part
ABSENCES = ("critic", "reward_model")  # named where they are not there: that is the point of a method
TONES = ("s1", "s2", "s3", "line2", "band")  # of the parts, in their order; a second round of them is hatched


def memory_figure(
    method: str,
    memory: Memory,
    others: Mapping[str, Memory] | None = None,
    *,
    theme: str = "light",
    lang: str = "en",
) -> go.Figure:
    """Return a stacked bar of what a run of `method` holds, and one for each other method that was measured."""
    colours = theme_of(theme)
    bars = [(word("this_run", lang, method=_method(method, lang)), owned(memory))]
    bars += [(_method(name, lang), owned(parts)) for name, parts in (others or {}).items()]
    totals = [sum(parts.values()) for _, parts in bars]
    places = list(dict.fromkeys([*PARTS, *(name for _, parts in bars for name in parts)]))
    held = [(i, name) for i, name in enumerate(places) if any(parts.get(name) for _, parts in bars)]
    longest = max(totals, default=0) or 1
    traces = [_trace(name, i, bars, longest, colours, lang) for i, name in held]
    labels = [
        {"x": total, "y": i, "text": _total(total, parts, colours, lang), "xanchor": "left", "xshift": 6}
        | {"showarrow": False, "align": "left"}
        for i, ((_, parts), total) in enumerate(zip(bars, totals, strict=True))
    ]
    title = heading(word("memory_title", lang), word("memory_note", lang), colours)
    layout = {
        "title": {"text": title, "font": {"size": 13, "color": colours.ink}, "x": 0, "xref": "container", "y": 1}
        | {"yref": "container", "yanchor": "top", "pad": {"t": 8}},
        "annotations": labels,
        "barmode": "stack",
        "bargap": 0.3,
        "height": 38 + 30 * len(bars),
        "margin": {"l": 118, "r": 8, "t": 32, "b": 6},
        "showlegend": False,
        "hovermode": "closest",
        "xaxis": {"visible": False, "range": [0, 1.45 * longest], "fixedrange": True},
        "yaxis": {
            "tickvals": list(range(len(bars))),
            "ticktext": [plain(name) for name, _ in bars],
            "autorange": "reversed",
            "fixedrange": True,
            "showgrid": False,
            "zeroline": False,
            "linecolor": colours.line2,
        },
    }
    return go.Figure(data=traces, layout=look(colours) | layout)


def owned(memory: Memory) -> Memory:
    """Return the bytes by owner: what trains the critic or the reward model counts as theirs.

    >>> owned({"policy": 9, "critic": 4, "critic_optimizer": 2, "peak": 99})
    {'policy': 9, 'critic': 6}
    """
    owners: dict[str, int] = {}
    for part, size in memory.items():
        owner = next((name for name in ABSENCES if part.startswith(name)), part)
        if owner != PEAK:
            owners[owner] = owners.get(owner, 0) + size
    return owners


def size_text(size: float) -> str:
    """Return a number of bytes in words.

    >>> size_text(3_340_000), size_text(0), size_text(999), size_text(12_800_000_000)
    ('3.3 MB', '0 B', '999 B', '13 GB')
    """
    for unit, one in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if size >= one:
            return f"{size / one:.0f} {unit}" if size >= 10 * one else f"{size / one:.1f} {unit}"
    return f"{size:.0f} B"


def _trace(name: str, index: int, bars: Sequence[tuple[str, Memory]], longest: int, colours: Theme, lang: str) -> Part:
    sizes = [parts.get(name, 0) for _, parts in bars]
    title, about = _words(name, lang)
    lines = "<br>".join(wrap(about, HOVER_LETTERS[lang == "zh"])) if about else ""
    is_dark = index % len(TONES) == 0
    return {
        "type": "bar",
        "orientation": "h",
        "name": title,
        "x": sizes,
        "y": list(range(len(bars))),
        "text": [title if size > NARROWEST * longest else "" for size in sizes],
        "textposition": "inside",
        "insidetextanchor": "start",
        "textfont": {"color": colours.sheet if is_dark else colours.ink},
        "hovertemplate": [f"<b>{plain(title)}</b> {size_text(size)}<br>{lines}<extra></extra>" for size in sizes],
        "marker": {
            "color": getattr(colours, TONES[index % len(TONES)]),
            "line": {"color": colours.sheet, "width": 1},
            "pattern": {
                "shape": "/" if index >= len(TONES) else "",
                "fgcolor": colours.sheet,
                "size": 6,
                "solidity": 0.2,
            },
        },
    }


def _total(total: int, parts: Memory, colours: Theme, lang: str) -> str:
    absent = [word("no_part", lang, part=_words(name, lang)[0]) for name in ABSENCES if not parts.get(name)]
    comma = "，" if lang == "zh" else ", "
    note = f"  <span style='color:{colours.ink2}'>{comma.join(absent)}</span>" if absent else ""
    return f"<span style='color:{colours.ink}'><b>{size_text(total)}</b></span>{note}"


def _words(name: str, lang: str) -> tuple[str, str]:
    if name not in PARTS:
        return name.replace("_", " "), ""
    title, about = PARTS[name]
    return title[lang == "zh"], about[lang == "zh"]


def _method(name: str, lang: str) -> str:
    return UNIFIED_VIEW[name].title[lang == "zh"]
