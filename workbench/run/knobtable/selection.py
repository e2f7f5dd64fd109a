"""Which tokens and completions are learned from, and the entropy bonus."""

from dataclasses import dataclass

from workbench.run.knobspec import knob


@dataclass(frozen=True, kw_only=True)
class SelectionKnobs:
    """The knobs that leave tokens out, and the entropy bonus."""

    mask_truncated_completions: bool = knob(
        False,
        kind="bool",
        symbol="✂",
        takes_effect="update",
        label=("leave out truncated", "不计截断的回答"),
        help=(
            "Completions cut off at the longest length are left out of the loss. They still count in the group's "
            "baseline.",
            "被最大长度截断的回答不计入损失，但仍计入组内基线。",
        ),
    )
    off_policy_mask_threshold: float | None = knob(
        None,
        kind="float",
        symbol="δπ",
        low=0.0,
        high=100.0,
        slider=(0.0, 1.0, 0.01),
        optional=True,
        start=0.02,
        takes_effect="update",
        label=("off-policy mask", "离策略屏蔽"),
        help=(
            "Bad completions that the policy has left by more than this (mean of log π_old − log π, nats) are left "
            "out (DeepSeek-V3.2). None: off.",
            "策略已偏离超过此值（log π_old − log π 的均值，nat）的坏回答不再学习（DeepSeek-V3.2）。不设则关闭。",
        ),
    )
    top_entropy_quantile: float = knob(
        1.0,
        kind="float",
        symbol="H top",
        low=0.0,
        high=1.0,
        slider=(0.0, 1.0, 0.05),
        takes_effect="update",
        label=("most undecided tokens", "最犹豫的词元"),
        help=(
            "Learns only from this share of tokens, where the policy was most undecided as it sampled (0.2: the 80/20 "
            "rule). 1: from all. The KL still acts on all.",
            "只从采样时最犹豫的这部分词元学习（0.2 即八二法则）。1 表示全部。KL 仍作用于所有词元。",
        ),
    )
    entropy_coef: float = knob(
        0.0,
        kind="float",
        symbol="H",
        low=0.0,
        high=1.0,
        slider=(0.0, 0.1, 0.001),
        takes_effect="update",
        label=("entropy bonus", "熵奖励"),
        help=(
            "Weight of the mean entropy in the objective; keeps the policy undecided. 0: none.",
            "目标中平均熵的权重，让策略保持多样。0 表示没有。",
        ),
    )
