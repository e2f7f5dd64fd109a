"""Which curves the run's figure shows: nine panels, the few that matter."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One metric in a panel: its short name in English and Chinese, and its colour's name in the theme."""

    metric: str
    label: tuple[str, str]
    colour: str
    sign: str = ""  # beside the label where colour alone would tell two lines apart


@dataclass(frozen=True)
class Panel:
    """`at_least` is the smallest height of the axis, so that nothing looks like something; `is_share`: in per cent."""

    title: tuple[str, str]
    unit: tuple[str, str]
    lines: Sequence[Line]
    at_least: float = 0.0
    is_share: bool = False


PANELS: Sequence[Panel] = (
    Panel(
        ("Reward", "奖励 reward"),
        ("band: 10–90% of groups", "灰带：各组的 10–90%"),
        [Line("reward", ("mean", "均值"), "ink")],
    ),
    Panel(
        ("Dead groups", "死组 dead groups"),
        ("share of groups", "占全部组"),
        [Line("frac_reward_zero_std", ("", ""), "s1")],
        at_least=1.0,
        is_share=True,
    ),
    Panel(("KL to the reference", "与参考策略的 KL"), ("nats per token", "nats / 词元"), [Line("kl", ("", ""), "kl")]),
    Panel(
        ("Zero gradient by the clip", "裁剪致零梯度 clip"),
        ("share of tokens", "占全部词元"),
        [
            Line("clip_ratio/high_mean", ("A > 0", "A > 0"), "up", "▲"),
            Line("clip_ratio/low_mean", ("A < 0", "A < 0"), "dn", "▼"),
        ],
        at_least=0.005,
        is_share=True,
    ),
    Panel(("Entropy", "熵 entropy"), ("nats per token", "nats / 词元"), [Line("entropy", ("", ""), "entropy")]),
    Panel(
        ("Length", "长度 length"),
        ("tokens", "词元"),
        [
            Line("completions/max_length", ("longest", "最长"), "s2"),
            Line("completions/mean_length", ("mean", "均值"), "ink"),
            Line("completions/min_length", ("shortest", "最短"), "s2"),
        ],
    ),
    Panel(
        ("Cut off", "截断 cut off"),
        ("share of completions", "占全部回答"),
        [Line("completions/clipped_ratio", ("", ""), "s1")],
        at_least=0.05,
        is_share=True,
    ),
    Panel(("Gradient norm", "梯度范数 grad norm"), ("before clipping", "裁剪前"), [Line("grad_norm", ("", ""), "ink")]),
    Panel(("Time of a step", "每步用时"), ("seconds", "秒"), [Line("step_time", ("", ""), "s1")]),
)
