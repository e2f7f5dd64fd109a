"""The loss, and how far a token may be pushed."""

from dataclasses import dataclass

from workbench.run.knobrules import CLIPPED_LOSSES
from workbench.run.knobspec import knob


@dataclass(frozen=True, kw_only=True)
class ClipKnobs:
    """The knobs of the surrogate."""

    loss_type: str = knob(
        "grpo",
        kind="choice",
        symbol="Σ",
        choices=("grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo", "online"),
        takes_effect="update",
        label=("loss", "损失"),
        help=(
            "grpo, bnpo, dr_grpo, dapo and luspo clip the ratio and differ in how token losses are averaged: over each "
            "completion's own length, over all tokens of the step (dapo and bnpo: a step is one batch, so they are the "
            "same), over the fixed maximal length, or summed per completion. cispo keeps every gradient and caps its "
            "weight, sapo fades it out, vespo weighs whole sequences, online is the plain policy gradient A·∇log π.",
            "grpo、bnpo、dr_grpo、dapo、luspo 都裁剪概率比，区别在平均方式：按各回答自身长度；按本步全部词元"
            "（dapo 与 bnpo：一步即一批，两者相同）；按固定最大长度；或按回答求和。cispo 保留全部梯度、只给权重封顶，"
            "sapo 让梯度平滑衰减，vespo 按整条序列加权，online 是最朴素的策略梯度 A·∇log π。",
        ),
    )
    importance_sampling_level: str = knob(
        "token",
        kind="choice",
        symbol="IS",
        choices=("token", "sequence"),
        used_when=({"loss_type": (*CLIPPED_LOSSES, "cispo", "sapo")},),
        takes_effect="update",
        label=("ratio level", "概率比粒度"),
        help=(
            "One probability ratio per token, or one per completion: its length-normalised product (GSPO).",
            "每个词元一个概率比，或每个回答一个：按长度归一的连乘（GSPO）。",
        ),
    )
    epsilon: float = knob(
        0.2,
        kind="float",
        symbol="ε",
        low=0.0,
        high=1.0,
        slider=(0.0, 0.5, 0.01),
        used_when=({"loss_type": CLIPPED_LOSSES},),
        takes_effect="update",
        label=("clip range, low side", "裁剪范围（下界）"),
        help=(
            "Tokens of bad completions stop being pushed down once their ratio falls below 1 − ε; "
            "without ε high, tokens of good ones stop being pushed up above 1 + ε.",
            "坏回答的词元，概率比低于 1 − ε 后不再被压低；未设 ε 上界时，好回答的词元高于 1 + ε 后不再被推高。",
        ),
    )
    epsilon_high: float | None = knob(
        None,
        kind="float",
        symbol="ε high",
        low=0.0,
        high=10.0,
        slider=(0.0, 0.5, 0.01),
        optional=True,
        used_when=({"loss_type": (*CLIPPED_LOSSES, "cispo")},),
        takes_effect="update",
        label=("clip range, high side", "裁剪范围（上界）"),
        help=(
            "Upper clip bound 1 + ε high, if it should differ from the lower one (DAPO: 0.28). None: the same ε.",
            "上界 1 + ε high，可与下界不同（DAPO 取 0.28）。不设则与 ε 相同。",
        ),
    )
    delta: float | None = knob(
        None,
        kind="float",
        symbol="δ",
        low=1.0,
        high=100.0,
        slider=(1.0, 10.0, 0.1),
        optional=True,
        start=4.0,
        used_when=({"loss_type": CLIPPED_LOSSES},),
        takes_effect="update",
        label=("ratio cap", "概率比上限"),
        help=(
            "Two-sided clipping: caps the ratio itself, which bounds the push on bad completions whose ratio exploded. "
            "Use a value above 1 + ε high. None: off.",
            "双侧裁剪：给概率比本身封顶，限制坏回答中比值暴涨的词元。应大于 1 + ε 上界。不设则关闭。",
        ),
    )
