"""The pull back to the reference."""

from dataclasses import dataclass

from workbench.run.knobspec import Above, knob


@dataclass(frozen=True, kw_only=True)
class KLKnobs:
    """The knobs of the KL."""

    beta: float = knob(
        0.0,
        kind="float",
        symbol="β",
        low=0.0,
        high=10.0,
        slider=(0.0, 0.5, 0.01),
        takes_effect="update",
        label=("KL weight", "KL 权重"),
        help=(
            "Weight of the KL penalty that pulls the policy back to the reference. 0: no pull.",
            "KL 惩罚的权重，把策略拉回参考策略。0 表示不拉。",
        ),
    )
    kl_estimator: str = knob(
        "k3",
        kind="choice",
        symbol="KL",
        choices=("k1", "k2", "k3", "exact"),
        takes_effect="update",
        label=("estimator", "估计"),
        help=(
            "Per-token estimate of KL(π‖π_ref): k1 = −d, k2 = d²/2, k3 = eᵈ − d − 1, d = log π_ref − log π. As a loss, "
            "k1 pulls nowhere on average. exact sums over the whole vocabulary: no noise, one more forward pass.",
            "逐词元的 KL(π‖π_ref) 估计：k1 = −d，k2 = d²/2，k3 = eᵈ − d − 1，d = log π_ref − log π。"
            "作为损失，k1 平均不产生拉力。exact 对整个词表求和：没有噪声，但多一次前向计算。",
        ),
    )
    kl_in: str = knob(
        "loss",
        kind="choice",
        symbol="KL in",
        choices=("loss", "reward"),
        used_when=({"beta": Above(0.0)},),
        takes_effect="update",
        label=("KL goes into", "KL 加在"),
        help=(
            "loss: each token's KL is a term of the loss. reward: the completion's KL, summed, is taken off its "
            "reward before the advantage (as RLOO does); with method=ppo each token's is taken off at that token.",
            "loss：每个词元的 KL 是损失的一项。reward：整个回答的 KL 之和先从奖励中扣除，再算优势（RLOO 的做法）；"
            "method=ppo 时则在每个词元处各扣各的。",
        ),
    )
    use_bias_correction_kl: bool = knob(
        False,
        kind="bool",
        symbol="KL·r",
        used_when=({"beta": Above(0.0), "kl_in": ("loss",)},),
        takes_effect="update",
        label=("ratio-corrected KL", "按概率比修正 KL"),
        help=(
            "Multiplies each token's KL by its ratio: unbiased after the policy has moved, and k1 and k3 then pull "
            "along the reverse KL. TRL's default is on.",
            "每个词元的 KL 乘以概率比：策略移动后仍无偏，且 k1、k3 此时沿反向 KL 拉回。TRL 默认开启。",
        ),
    )
