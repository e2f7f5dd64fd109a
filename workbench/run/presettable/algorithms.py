"""GRPO's variants, one a preset, all on addition, so that one thing differs from the preset `addition` at a time."""

from collections.abc import Mapping
from typing import Any

from workbench.run.preset import Preset

_HUNDRED = {"max_steps": 100, "task": "addition"}
_BASE = {"num_iterations": 4, "beta": 0.04, "learning_rate": 2e-4, "max_completion_length": 48}


def _variant(
    title: tuple[str, str], description: tuple[str, str], *, settings: Mapping[str, Any] | None = None, **knobs: Any
) -> Preset:
    return Preset(title, description, _HUNDRED | dict(settings or {}), _BASE | knobs, group="algorithms")


_PUNISHMENT = "get_soft_overlong_punishment(max_completion_len=48, soft_punish_cache=16)"

_LOSSES = {
    "online": _variant(
        ("Plain policy gradient", "朴素策略梯度"),
        (
            "One update on fresh samples, A·∇log π: no ratio, no clip. At μ = 1 the clipped form pushes alike.",
            "新样本只更新一次，A·∇log π：没有概率比，也没有裁剪。μ = 1 时裁剪形式的梯度与它相同。",
        ),
        loss_type="online",
        num_iterations=1,
        learning_rate=5e-4,
    ),
    "dr_grpo": _variant(
        ("Dr. GRPO", "Dr. GRPO"),
        (
            "No division by the std, no division by the completion's length (arXiv 2503.20783).",
            "优势不除以标准差，损失不除以回答长度（arXiv 2503.20783）。",
        ),
        loss_type="dr_grpo",
        scale_rewards="none",
        beta=0.0,
    ),
    "bnpo": _variant(
        ("Token mean", "词元平均"),
        ("Every token of the step weighs the same (TRL's bnpo).", "本步每个词元权重相同（TRL 的 bnpo）。"),
        loss_type="bnpo",
    ),
    "dapo": _variant(
        ("DAPO", "DAPO"),
        (
            "Token mean, wider upper clip, dead groups drawn again, overlong completions punished (arXiv 2503.14476).",
            "词元平均、上界更宽、死组重采样、超长软惩罚（arXiv 2503.14476）。",
        ),
        settings={
            "reward_funcs": ("answer", "steps", "format", _PUNISHMENT),
            "reward_weights": (1.0, 0.3, 0.2, 1.0),
        },
        loss_type="dapo",
        beta=0.0,
        epsilon_high=0.28,
        max_num_gen_batches=3,
    ),
    "gspo": _variant(
        ("GSPO", "GSPO"),
        (
            "One ratio for the whole completion, in a much narrower band: ε = 0.003 (arXiv 2507.18071 has 0.0003).",
            "整个回答一个概率比，裁剪带窄得多：ε = 0.003（arXiv 2507.18071 取 0.0003）。",
        ),
        importance_sampling_level="sequence",
        epsilon=3e-3,
        epsilon_high=4e-3,
    ),
    "luspo": _variant(
        ("LUSPO", "LUSPO"),
        (
            "GSPO's ratio, but completions are summed, not averaged: no bias against long ones (arXiv 2602.05261).",
            "用 GSPO 的概率比，但按回答求和而非平均：不偏向短回答（arXiv 2602.05261）。",
        ),
        loss_type="luspo",
        importance_sampling_level="sequence",
        epsilon=3e-3,
        epsilon_high=4e-3,
    ),
    "cispo": _variant(
        ("CISPO", "CISPO"),
        (
            "No token loses its gradient: the ratio is a weight, capped at 5 (arXiv 2506.13585). Here few reach it.",
            "没有词元失去梯度：概率比只作权重，封顶为 5（arXiv 2506.13585），这里很少碰到。",
        ),
        loss_type="cispo",
        epsilon_high=5.0,
    ),
    "sapo": _variant(
        ("SAPO", "SAPO"),
        (
            "A soft gate in place of the clip: the gradient fades as the ratio leaves 1 (arXiv 2511.20347).",
            "用软门代替裁剪：概率比离 1 越远，梯度越小（arXiv 2511.20347）。",
        ),
        loss_type="sapo",
    ),
    "vespo": _variant(
        ("VESPO", "VESPO"),
        (
            "Each completion weighed by its sequence ratio, w^k · e^(λ(1 − w)) (arXiv 2602.10693).",
            "每个回答按整条序列的概率比加权，w^k · e^(λ(1 − w))（arXiv 2602.10693）。",
        ),
        loss_type="vespo",
    ),
    "two_sided_clip": _variant(
        ("Two-sided clip", "双侧裁剪"),
        (
            "Caps the ratio of bad completions too, at δ = 4 (arXiv 2505.07291): a brake that is seldom needed here.",
            "坏回答的概率比也封顶，δ = 4（arXiv 2505.07291）：防的是暴涨，这里很少碰到。",
        ),
        delta=4.0,
        epsilon_high=0.28,
    ),
}

_TOKENS = {
    "entropy_bonus": _variant(
        ("Entropy bonus", "熵奖励"),
        ("Rewards the policy for staying undecided.", "奖励策略保持多样。"),
        entropy_coef=0.01,
    ),
    "top_entropy": _variant(
        ("Most undecided tokens", "最犹豫的词元"),
        (
            "Learns only from the fifth of the tokens where the policy is most undecided (arXiv 2506.01939).",
            "只从最犹豫的五分之一词元学习（arXiv 2506.01939）。",
        ),
        top_entropy_quantile=0.2,
    ),
    "off_policy_mask": _variant(
        ("Off-policy mask", "离策略屏蔽"),
        (
            "Bad completions that the policy has left behind are no longer learned from (arXiv 2512.02556).",
            "策略已远离的坏回答不再学习（arXiv 2512.02556）。",
        ),
        off_policy_mask_threshold=0.005,
    ),
    "mask_truncated": _variant(
        ("Truncated ones left out", "不计截断"),
        (
            "Completions cut off at the longest length are left out of the loss. The length is short here, to show it.",
            "被截断的回答不计入损失；这里故意把长度限得很短。",
        ),
        mask_truncated_completions=True,
        max_completion_length=28,
    ),
}

_ADVANTAGES = {
    "rloo": _variant(
        ("RLOO", "RLOO"),
        (
            "The baseline is the mean of the others; the KL is taken off the reward (arXiv 2402.14740).",
            "基线是其余回答的均值，KL 从奖励中扣除（arXiv 2402.14740）。",
        ),
        advantage_estimator="rloo",
        kl_in="reward",
        kl_estimator="k1",
    ),
    "reinforce_plus_plus": _variant(
        ("REINFORCE++-baseline", "REINFORCE++-baseline"),
        (
            "Minus the group's mean, then normalised over the whole batch (arXiv 2501.03262).",
            "先减组均值，再按整批归一化（arXiv 2501.03262）。",
        ),
        advantage_estimator="reinforce_plus_plus",
        kl_estimator="k2",
    ),
    "gdpo": _variant(
        ("GDPO", "GDPO"),
        (
            "Each reward function normalised by itself before they are added (arXiv 2601.05242).",
            "各奖励函数先各自归一化，再相加（arXiv 2601.05242）。",
        ),
        advantage_estimator="gdpo",
    ),
    "pass_at_k": _variant(
        ("Pass@k", "Pass@k"),
        (
            "Rewards what a completion adds to the best of four: rare right answers count most (arXiv 2505.15201).",
            "奖励“四个里最好的”因它提高了多少：罕见的正确答案最受重视（arXiv 2505.15201）。",
        ),
        advantage_estimator="pass_at_k",
        pass_k=4,
    ),
    "rank": _variant(
        ("Rank", "名次"),
        ("Only the order of the rewards in the group counts.", "只看组内奖励的名次。"),
        advantage_estimator="rank",
    ),
    "process": _variant(
        ("Process supervision", "过程监督"),
        (
            "Every written step has its reward; a token answers for the steps from it on (arXiv 2402.03300, 4.1.3).",
            "每个书写步骤有自己的奖励，词元只对其后的步骤负责（arXiv 2402.03300，4.1.3）。",
        ),
        supervision="process",
    ),
}

_KL = {
    "exact_kl": _variant(
        ("Exact KL", "精确 KL"),
        ("The KL summed over the whole vocabulary in place of an estimate.", "KL 对整个词表求和，不用估计。"),
        kl_estimator="exact",
    ),
    "corrected_kl": _variant(
        ("Corrected KL", "修正的 KL"),
        (
            "k3 times the ratio: unbiased after the policy has moved (TRL's default).",
            "k3 乘以概率比：策略移动后仍无偏（TRL 的默认）。",
        ),
        use_bias_correction_kl=True,
    ),
    "iterative": _variant(
        ("Iterative RL with a learned reward", "学习奖励的迭代 RL"),
        (
            "A reward model trained on the policy's own ranked samples, refreshed every round, and the reference reset "
            "to the policy (arXiv 2402.03300, algorithm 1).",
            "奖励模型由策略自己的排序样本训练，每轮更新，参考策略随之重置（arXiv 2402.03300，算法 1）。",
        ),
        settings={
            "learn_reward": True,
            "steps_per_round": 10,
            "reward_model_replay": 0.3,
            "sync_ref_model": True,
            "ref_model_sync_steps": 10,
        },
        learning_rate=5e-4,
    ),
}

ALGORITHM_PRESETS: Mapping[str, Preset] = {**_LOSSES, **_TOKENS, **_ADVANTAGES, **_KL}
