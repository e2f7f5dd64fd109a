"""Every scalar of a step: TRL's name, unit, formula and meaning. Tooltips are made from this table."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A scalar's unit, its formula in a line, and what it means in English and Chinese."""

    unit: str
    formula: str
    meaning: tuple[str, str]


_CLIP = "share of tokens"

METRICS: Mapping[str, Metric] = {
    "reward": Metric(
        "reward",
        "mean over completions of Σ weight · reward",
        ("Average weighted reward: the number to watch.", "加权奖励的平均：最该看的数字。"),
    ),
    "reward_std": Metric(
        "reward",
        "standard deviation over all completions of the step (N − 1)",
        ("How much rewards differ across the whole step.", "整步所有回答奖励的离散程度。"),
    ),
    "frac_reward_zero_std": Metric(
        "share of groups",
        "mean over groups of [std of its rewards = 0]",
        (
            "Dead groups: all rewards equal, so every advantage is 0 and nothing is learned.",
            "死组：奖励全部相同，优势全为 0，学不到东西。",
        ),
    ),
    "rewards/{name}/mean": Metric(
        "reward", "mean of one reward function, unweighted", ("Average of one reward function.", "单个奖励函数的平均。")
    ),
    "rewards/{name}/std": Metric(
        "reward",
        "standard deviation of one reward function (N − 1)",
        ("Spread of one reward function.", "单个奖励函数的标准差。"),
    ),
    "kl": Metric(
        "nats per token",
        "mean over tokens of the KL estimate (k3: eᵈ − d − 1, d = log π_ref − log π)",
        (
            "How far the policy has moved from the reference. Scored at β = 0 too, where it is only shown.",
            "策略离参考策略有多远。β = 0 时也会计算，仅供观察。",
        ),
    ),
    "entropy": Metric(
        "nats per token",
        "mean over tokens of −Σ p log p at the sampling temperature",
        ("How undecided the policy is; near 0 it always says the same.", "策略有多犹豫；接近 0 时总说同样的话。"),
    ),
    "clip_ratio/low_mean": Metric(
        _CLIP,
        "mean of [r < 1 − ε and A < 0]",
        ("Tokens of bad completions that are pushed down no further.", "坏回答中不再被压低的词元。"),
    ),
    "clip_ratio/low_min": Metric(
        _CLIP, "lowest completion's share", ("The same, in the completion with the fewest.", "同上，占比最低的回答。")
    ),
    "clip_ratio/high_mean": Metric(
        _CLIP,
        "mean of [r > 1 + ε high and A > 0]",
        ("Tokens of good completions that are pushed up no further.", "好回答中不再被推高的词元。"),
    ),
    "clip_ratio/high_max": Metric(
        _CLIP, "highest completion's share", ("The same, in the completion with the most.", "同上，占比最高的回答。")
    ),
    "clip_ratio/region_mean": Metric(
        _CLIP,
        "low or high",
        ("Tokens whose gradient the clip made zero.", "被裁剪、梯度为零的词元。"),
    ),
    "completions/mean_length": Metric("tokens", "mean", ("Average length of a completion.", "回答的平均长度。")),
    "completions/min_length": Metric("tokens", "minimum", ("Shortest completion.", "最短的回答。")),
    "completions/max_length": Metric("tokens", "maximum", ("Longest completion.", "最长的回答。")),
    "completions/clipped_ratio": Metric(
        "share of completions",
        "mean of [no end-of-sequence token]",
        (
            "Completions cut off at the longest length. Nothing to do with the ratio clip.",
            "因超长被截断的回答。与概率比裁剪无关。",
        ),
    ),
    "completions/mean_terminated_length": Metric(
        "tokens",
        "mean over completions that ended",
        ("Average length of those that ended.", "正常结束的回答的平均长度。"),
    ),
    "completions/min_terminated_length": Metric(
        "tokens", "minimum over completions that ended", ("Shortest that ended.", "正常结束的最短回答。")
    ),
    "completions/max_terminated_length": Metric(
        "tokens", "maximum over completions that ended", ("Longest that ended.", "正常结束的最长回答。")
    ),
    "loss": Metric(
        "advantage",
        "Σ w · (−min(r·A, clip(r)·A) + β·KL), mean over the inner updates",
        (
            "Near 0 by construction: advantages cancel inside a group. Watch the reward instead.",
            "按构造就接近 0：组内优势互相抵消。请看奖励。",
        ),
    ),
    "grad_norm": Metric(
        "loss per unit of weight",
        "L2 norm of the LoRA gradient before clipping, mean over the inner updates",
        ("How strongly this step pulls at the weights.", "这一步对权重的拉力有多大。"),
    ),
    "learning_rate": Metric("", "the knob", ("AdamW's step size in this step.", "本步 AdamW 的步长。")),
    "num_tokens": Metric(
        "tokens",
        "prompt and completion tokens, summed over all steps",
        ("Tokens read and written so far.", "至今读写的词元总数。"),
    ),
    "step_time": Metric(
        "s", "wall time of the step, waiting while paused left out", ("Time this step took.", "本步用时。")
    ),
}
