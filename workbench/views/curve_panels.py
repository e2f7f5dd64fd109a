"""Which curves the run's figure shows: the few that matter, and what only some methods have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workbench.run.knobs import Knobs

Row = Mapping[str, Any]
NO_WORDS = ("", "")


@dataclass(frozen=True)
class Line:
    """One metric in a panel: its short name in English and Chinese, and its colour's name in the theme."""

    metric: str
    label: tuple[str, str]
    colour: str
    sign: str = ""  # beside the label where colour alone would tell two lines apart
    dash: str = "solid"


@dataclass(frozen=True)
class Panel:
    """`at_least` is the smallest height of the axis, so that nothing looks like something; `is_share`: in per cent.

    `says` is a sentence across a panel that has no line; `is_reward` marks the panel with the band of the groups.
    """

    title: tuple[str, str]
    unit: tuple[str, str]
    lines: Sequence[Line]
    at_least: float = 0.0
    is_share: bool = False
    is_reward: bool = False
    says: tuple[str, str] = NO_WORDS


REWARD = Panel(
    ("Reward", "奖励 reward"),
    ("band: 10–90% of groups; lines: smoothed", "灰带：各组的 10–90%；线：平滑后"),
    [Line("reward", ("mean", "均值"), "ink")],
    is_reward=True,
)
LEARNED_REWARD = replace(
    REWARD,
    title=("Learned and true reward", "学到的与真实的奖励"),
    lines=[
        Line("reward", ("learned", "学到的"), "s1", dash="dash"),
        Line("true_reward", ("true", "真实"), "ink"),
    ],
)
CLIP = Panel(
    ("Clip", "裁剪 clip"),
    ("share of tokens", "占全部词元"),
    [
        Line("clip_ratio/high_mean", ("A > 0", "A > 0"), "up", "▲"),
        Line("clip_ratio/low_mean", ("A < 0", "A < 0"), "dn", "▼"),
        Line("cispo_clip_ratio", ("capped", "封顶"), "up", "▲"),
    ],
    at_least=0.005,
    is_share=True,
)
PHI = Panel(
    ("Weight of a completion, φ", "回答的权重 φ"),
    ("vespo: instead of a clip", "vespo：代替裁剪"),
    [Line("vespo/phi_seq_mean", NO_WORDS, "ink")],
    at_least=1.0,
)
NOT_CLIPPED: Mapping[str, tuple[str, str]] = {
    "sapo": ("sapo clips nothing: its gate fades gradients out", "sapo 不裁剪：软门让梯度逐渐变小"),
    "online": ("online has no ratio, so nothing to clip", "online 没有概率比，也就没有裁剪"),
}
# The panels that every run begins with, in their places; the clip's depends on the loss.
CORE: Sequence[Panel] = (
    REWARD,
    Panel(
        ("Dead groups, cut off", "死组与截断"),
        ("share of groups, of completions", "占全部组、占全部回答"),
        [
            Line("frac_reward_zero_std", ("dead", "死组"), "ink"),
            Line("completions/clipped_ratio", ("cut off", "截断"), "s2"),
        ],
        at_least=1.0,
        is_share=True,
    ),
    Panel(("KL to the reference", "与参考策略的 KL"), ("nats per token", "nats / 词元"), [Line("kl", NO_WORDS, "kl")]),
    CLIP,
    Panel(("Entropy", "熵 entropy"), ("nats per token", "nats / 词元"), [Line("entropy", NO_WORDS, "entropy")]),
    Panel(
        ("Length", "长度 length"),
        ("tokens", "词元"),
        [
            Line("completions/max_length", ("longest", "最长"), "s2"),
            Line("completions/mean_length", ("mean", "均值"), "ink"),
            Line("completions/min_length", ("shortest", "最短"), "s2"),
        ],
    ),
    Panel(("Gradient norm", "梯度范数 grad norm"), ("before clipping", "裁剪前"), [Line("grad_norm", NO_WORDS, "ink")]),
    Panel(("Time of a step", "每步用时"), ("seconds", "秒"), [Line("step_time", NO_WORDS, "s1")]),
    Panel(
        ("Scored against sampled", "打分与采样之差"),
        ("health: |Δ log π|, nats", "健康检查：|Δ log π|，nats"),
        [
            Line("sampling/sampling_logp_difference/max", ("worst", "最差"), "s2"),
            Line("sampling/sampling_logp_difference/mean", ("mean", "均值"), "ink"),
        ],
        at_least=0.01,
    ),
)
# What only some methods measure. What may begin in the middle of a run comes last: it moves no other panel.
OTHERS: Sequence[Panel] = (
    Panel(
        ("Reward model", "奖励模型"),
        ("pairs ranked rightly, correlation", "排对的比例、相关系数"),
        [
            Line("reward_model/accuracy", ("accuracy", "准确率"), "ink"),
            Line("reward_model/correlation", ("correlation", "相关"), "s2"),
        ],
        at_least=1.0,
    ),
    Panel(("Value loss", "价值损失"), ("of the critic", "评论家"), [Line("value_loss", NO_WORDS, "ink")]),
    Panel(
        ("Explained variance", "解释方差"),
        ("1: the critic foresees every return", "1：评论家预见每个回报"),
        [Line("explained_variance", NO_WORDS, "ink")],
        at_least=1.0,
    ),
    Panel(
        ("Margin", "差距 margin"),
        ("better minus worse, nats", "好减坏，nats"),
        [Line("rewards/margins", NO_WORDS, "ink")],
    ),
    Panel(
        ("Pairs in order", "排对的回答对"),
        ("share of pairs", "占全部回答对"),
        [Line("rewards/accuracies", NO_WORDS, "ink")],
        at_least=1.0,
        is_share=True,
    ),
    Panel(
        ("Dynamic sampling", "动态采样"),
        ("groups thrown away, rounds", "丢弃的组、轮数"),
        [
            Line("dynamic_sampling/num_discarded_groups", ("groups", "组"), "ink"),
            Line("dynamic_sampling/num_gen_batches", ("rounds", "轮数"), "s2"),
        ],
        at_least=1.0,
    ),
)


def panels_of(rows: Sequence[Row], knobs: Knobs | None = None) -> list[Panel]:
    """Return the panels of a run whose newest knobs are `knobs`: those that have something to show.

    A run without steps shows the axes of those that every run begins with.
    """
    if not rows:
        return list(CORE)
    chosen = [_clip_panel(rows, knobs) if panel is CLIP else _reward_panel(panel, rows) for panel in (*CORE, *OTHERS)]
    shown = [replace(panel, lines=[line for line in panel.lines if _has(rows, line.metric)]) for panel in chosen]
    return [panel for panel in shown if panel.lines or panel.says != NO_WORDS]


def _reward_panel(panel: Panel, rows: Sequence[Row]) -> Panel:
    return LEARNED_REWARD if panel is REWARD and _has(rows, "true_reward") else panel


def _clip_panel(rows: Sequence[Row], knobs: Knobs | None) -> Panel:
    """Return what the newest step's loss does to ratios that have gone far: clip, weigh, or neither and why."""
    if "vespo/phi_seq_mean" in rows[-1]["metrics"]:  # None where every completion was left out
        return PHI
    if any(rows[-1]["metrics"].get(line.metric) is not None for line in CLIP.lines) or knobs is None:
        return CLIP
    says = NOT_CLIPPED.get(knobs.loss_type, NO_WORDS)
    return replace(CLIP, says=says, lines=[] if says != NO_WORDS else CLIP.lines)


def _has(rows: Sequence[Row], metric: str) -> bool:
    return any(row["metrics"].get(metric) is not None for row in rows)
