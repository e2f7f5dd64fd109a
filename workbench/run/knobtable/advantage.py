"""How rewards become advantages."""

from dataclasses import dataclass

from workbench.run.knobspec import Condition, knob

# Where rewards are divided by a standard deviation.
_DIVIDES: tuple[Condition, ...] = (
    {"supervision": ("process",)},
    {"advantage_estimator": ("grpo",), "scale_rewards": ("group", "batch")},
    {"advantage_estimator": ("reinforce_plus_plus", "gdpo")},
)


@dataclass(frozen=True, kw_only=True)
class AdvantageKnobs:
    """The knobs between the rewards and the advantages."""

    supervision: str = knob(
        "outcome",
        kind="choice",
        symbol="r",
        choices=("outcome", "process"),
        takes_effect="update",
        label=("supervision", "监督方式"),
        help=(
            "outcome: one reward for the whole completion. process: one for each written step; a token's advantage is "
            "the sum of the normalised rewards of the steps that end at or after it (DeepSeekMath).",
            "outcome：整个回答一个奖励。process：每个书写步骤一个奖励；词元的优势是其后各步归一化奖励之和（"
            "DeepSeekMath）。",
        ),
    )
    advantage_estimator: str = knob(
        "grpo",
        kind="choice",
        symbol="A",
        choices=("grpo", "rloo", "reinforce_plus_plus", "gdpo", "pass_at_k", "rank"),
        takes_effect="update",
        label=("advantage", "优势"),
        help=(
            "grpo: reward minus the group's mean, divided as chosen below. rloo: minus the mean of the others. "
            "reinforce_plus_plus: minus the group's mean, normalised over the batch. gdpo: each reward function "
            "normalised by itself, then summed. pass_at_k: what a completion adds to the best of k. rank: its rank, "
            "from −1 to 1.",
            "grpo：奖励减组均值，再按下项缩放。rloo：减去其余回答的均值。reinforce_plus_plus：减组均值，再按整批归一化"
            "。gdpo：各奖励函数先各自归一化再相加。pass_at_k：该回答让 k 个中的最好者提高多少。rank：组内名次，从 −1 "
            "到 1。",
        ),
    )
    scale_rewards: str = knob(
        "group",
        kind="choice",
        symbol="A",
        choices=("group", "batch", "none"),
        used_when=({"supervision": ("outcome",), "advantage_estimator": ("grpo",)},),
        takes_effect="update",
        label=("divided by", "除以"),
        help=(
            "For the estimator grpo: what the centred reward is divided by: the group's standard deviation (z-score), "
            "the batch's, "
            "or nothing (Dr. GRPO).",
            "用于估计 grpo：中心化后的奖励除以什么：组标准差（z 分数）、批标准差，或不除（Dr. GRPO）。",
        ),
    )
    std_ddof: int = knob(
        1,
        kind="int",
        symbol="σ",
        low=0,
        high=1,
        slider=(0, 1, 1),
        used_when=_DIVIDES,
        takes_effect="update",
        label=("std divides by", "标准差除以"),
        help=(
            "The standard deviation divides by N − 1 (1, as TRL) or by N (0, as the paper's formula reads).",
            "标准差除以 N − 1（取 1，同 TRL）或 N（取 0，论文公式的字面写法）。",
        ),
    )
    std_eps: float = knob(
        0.0001,
        kind="float",
        symbol="σ+",
        low=0.0,
        high=1.0,
        slider=(1e-08, 0.1, 1e-08),
        scale="log",
        used_when=_DIVIDES,
        takes_effect="update",
        label=("added to the std", "标准差上加的量"),
        help=(
            "Added to the standard deviation before dividing. TRL 1e-4, others 1e-6 or 1e-8, the paper nothing.",
            "除之前加到标准差上的量。TRL 用 1e-4，其他实现用 1e-6 或 1e-8，论文没有。",
        ),
    )
    pass_k: int = knob(
        4,
        kind="int",
        symbol="k",
        low=1,
        high=256,
        slider=(1, 16, 1),
        used_when=({"advantage_estimator": ("pass_at_k",)},),
        takes_effect="update",
        label=("k of pass@k", "pass@k 的 k"),
        help=(
            "For the estimator pass_at_k: how many completions one may choose the best of. At most G, where only one "
            "that beats all others gets any.",
            "用于估计 pass_at_k：从多少个回答里取最好的。不超过 G；等于 G 时，只有胜过其余所有回答的那个才有优势。",
        ),
    )
