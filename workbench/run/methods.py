"""The methods in DeepSeekMath's unified view.

They differ in where the completions come from, in what the reward is, and in the gradient coefficient: the number by
which each token's ∇log π is multiplied.

Source: DeepSeekMath, section 5.2.1, https://arxiv.org/abs/2402.03300
"""

from collections.abc import Mapping
from dataclasses import dataclass

Words = tuple[str, str]  # English, Chinese


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method's name, and its place in the unified view in English and Chinese."""

    title: Words
    source: Words
    reward: Words
    coefficient: Words


_OWN_GROUPS = ("the policy's own groups of completions", "策略自己采样的各组回答")

UNIFIED_VIEW: Mapping[str, Method] = {
    "grpo": Method(
        title=("GRPO", "GRPO"),
        source=_OWN_GROUPS,
        reward=("the reward functions, compared within the group", "奖励函数，在组内比较"),
        coefficient=(
            "A, the same for all tokens of a completion, + β·(π_ref/π − 1) where β > 0",
            "A，同一回答的词元相同；β > 0 时再加 β·(π_ref/π − 1)",
        ),
    ),
    "ppo": Method(
        title=("PPO", "PPO"),
        source=_OWN_GROUPS,
        reward=("the reward functions, compared with what a critic expected", "奖励函数，与评论家的预期比较"),
        coefficient=("A of each token, by GAE from a trained critic", "每个词元的 A，由训练出的评论家经 GAE 得到"),
    ),
    "dpo": Method(
        title=("DPO", "DPO"),
        source=("a better and a worse completion out of each group", "每组中一好一坏的两个回答"),
        reward=("which of the two is better", "两者中哪个更好"),
        coefficient=(
            "±β·σ(−margin): up in the better one, down in the worse, less as they move apart",
            "±β·σ(−差距)：好的推高，坏的压低，拉开后渐弱",
        ),
    ),
    "sft": Method(
        title=("SFT", "SFT"),
        source=("demonstrations of the task", "任务的示范回答"),
        reward=("none: demonstrations are right", "没有：示范都算对"),
        coefficient=("1", "1"),
    ),
    "rft": Method(
        title=("RFT", "RFT"),
        source=("completions of the policy before training", "训练前的策略写出的回答"),
        reward=("right or not", "对或错"),
        coefficient=("1 where right, 0 where not", "对则为 1，错则为 0"),
    ),
    "online_rft": Method(
        title=("Online RFT", "在线 RFT"),
        source=("the policy's own completions, always fresh", "策略当前写出的回答"),
        reward=("right or not", "对或错"),
        coefficient=("1 where right, 0 where not", "对则为 1，错则为 0"),
    ),
}
