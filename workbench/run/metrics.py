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
        "mean over groups of [std of its rewards = 0]; method grpo with scale_rewards batch or gdpo: "
        "of the whole step's, 0 or 1",
        (
            "Dead groups: all rewards equal, so outcome advantages are 0 and nothing is learned from the reward.",
            "死组：奖励全部相同，结果优势全为 0，从奖励中学不到东西。",
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
        "mean over tokens of the knob kl_estimator: k1 = −d, k2 = d²/2, k3 = eᵈ − d − 1, d = log π_ref − log π; "
        "exact = Σ π·log(π/π_ref) over the vocabulary, as always with sft and rft; times r if use_bias_correction_kl",
        (
            "How far the policy has moved from the reference. Scored at β = 0 and with the KL in the reward too, where "
            "the loss has none and it is only shown: k3 in place of exact, and never times r.",
            "策略离参考策略有多远。β = 0 或 KL 加在奖励里时它不在损失中，仅供观察：以 k3 代替 exact，且不乘 r。"
            "sft 与 rft 总是 exact。",
        ),
    ),
    "entropy": Metric(
        "nats per token",
        "mean over tokens of −Σ p log p at the sampling temperature",
        ("How undecided the policy is; near 0 it always says the same.", "策略有多犹豫；接近 0 时总说同样的话。"),
    ),
    "clip_ratio/low_mean": Metric(
        _CLIP,
        "mean of [r < 1 − ε and A < 0]; losses that clip; of completions where a completion has one ratio",
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
        (
            "Tokens outside the band on the side where the clip takes their gradient. What δ cuts is not counted.",
            "在裁剪起作用的一侧越出裁剪带、失去梯度的词元；δ 截去的不计。",
        ),
    ),
    "cispo_clip_ratio": Metric(
        _CLIP,
        "mean of [r > ε high and A > 0]; loss_type cispo; of completions where a completion has one ratio",
        (
            "Tokens whose weight cispo capped. They keep their gradient.",
            "权重被 cispo 封顶的词元；梯度仍在。",
        ),
    ),
    "vespo/phi_seq_mean": Metric(
        "weight",
        "mean over completions, 1 for one left out of the loss, of φ = wᵏ·exp(λ(1 − w)), w = Π r; loss_type vespo; "
        "over tokens where A differs by token",
        (
            "What a completion's gradient is multiplied by: 1 where the policy has not moved, near 0 far from it.",
            "回答的梯度所乘的权重：策略未移动时为 1，离得远时接近 0。",
        ),
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
        "Σ w·(ℓ + β·KL) − c·H, mean over the inner updates; ℓ by the knob loss_type: "
        "grpo, bnpo, dr_grpo, dapo, luspo −min(r·A, clip(r)·A), which differ in w; cispo −min(r, ε high)·A·log π; "
        "sapo −(4/τ)·σ(τ(r − 1))·A; vespo −φ·A·log π; online −A·log π's gradient. Method dpo: mean over pairs of "
        "−log σ(margin); sft, rft, online_rft: −Σ w·log π of the completions that count",
        (
            "Says little about learning: with a clipped loss the ratios begin at 1 and advantages cancel inside a "
            "group, so it begins near β·KL. Watch the reward instead.",
            "说明不了学得如何：带裁剪的损失从概率比 1 开始，组内优势互相抵消，所以一开始就在 β·KL 附近。请看奖励。",
        ),
    ),
    "policy_loss": Metric(
        "advantage",
        "loss + c·H; where c > 0",
        ("The loss without the entropy bonus.", "不含熵奖励的损失。"),
    ),
    "entropy_coef": Metric("", "the knob c; where c > 0", ("Weight of the entropy bonus.", "熵奖励的权重。")),
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
    "num_completion_tokens": Metric(
        "tokens",
        "completion tokens, those of discarded groups too, summed over all steps",
        ("Tokens written so far.", "至今写出的词元总数。"),
    ),
    "step_time": Metric(
        "s", "wall time of the step, waiting while paused left out", ("Time this step took.", "本步用时。")
    ),
    "sampling/sampling_logp_difference/mean": Metric(
        "nats",
        "mean over tokens of |log π when scored − log π when sampled|; not of what others wrote (methods sft and rft)",
        (
            "Health: scoring and sampling must agree on the same tokens, up to rounding.",
            "健康检查：同一词元的打分与采样应当一致，只差舍入。sft 与 rft 的词元不是策略自己写的，不计。",
        ),
    ),
    "sampling/sampling_logp_difference/max": Metric(
        "nats",
        "the same, of the token where it is largest",
        ("The worst token. A temperature forgotten in scoring shows here.", "最差的词元。打分时漏掉温度会在这里现形。"),
    ),
    "dynamic_sampling/num_gen_batches": Metric(
        "rounds",
        "rounds of sampling; where max_num_gen_batches > 1",
        ("Rounds it took until no group was dead.", "直到没有死组所用的轮数。"),
    ),
    "dynamic_sampling/num_discarded_groups": Metric(
        "groups",
        "dead groups thrown away; where max_num_gen_batches > 1",
        ("What dynamic sampling costs: groups sampled for nothing.", "动态采样的代价：白白采样的组。"),
    ),
    "true_reward": Metric(
        "reward",
        "mean of Σ weight · reward of the task's own functions; where the reward is learned",
        (
            "What is really wanted. Falling while the learned reward rises is over-optimisation.",
            "真正想要的。学到的奖励上升而它下降，就是过度优化。",
        ),
    ),
    "reward_model/accuracy": Metric(
        "share of pairs",
        "mean over this step's pairs, before they are learned from, of [score of better > score of worse], a tie ½",
        (
            "How often the learned reward ranks a pair rightly. 0.5 is guessing.",
            "学到的奖励排对一对回答的比例；0.5 等于瞎猜。",
        ),
    ),
    "reward_model/loss": Metric(
        "nats per pair",
        "mean over this step's pairs, before they are learned from, of −log σ(score of better − score of worse)",
        (
            "The reward model's Bradley-Terry loss; log 2 = 0.69 is guessing.",
            "奖励模型的 Bradley-Terry 损失；log 2 = 0.69 等于瞎猜。",
        ),
    ),
    "reward_model/correlation": Metric(
        "",
        "Pearson's correlation of learned and true reward over the step's completions",
        (
            "1: rises and falls with the truth. Falls when the policy has left what it was trained on.",
            "1 表示与真值同升同降；策略离开训练过的范围后会下降。",
        ),
    ),
    "round": Metric(
        "",
        "steps before this one // steps_per_round + 1",
        ("Round of steps; before each the reward model is trained anew.", "步骤的轮次；每轮开始前重新训练奖励模型。"),
    ),
    "value_loss": Metric(
        "reward²",
        "½·mean over tokens of max((V − R)², (clip(V, V_old ± cliprange_value) − R)²)",
        ("How far PPO's critic is from the returns.", "PPO 的评论家与回报的差距。"),
    ),
    "explained_variance": Metric(
        "",
        "1 − var(R − V)/var(R) over tokens, before the critic's update",
        (
            "1: the critic foresees every return. 0: no better than their mean.",
            "1：评论家能预见每个回报。0：不比取平均好。",
        ),
    ),
    "returns/mean": Metric(
        "reward",
        "mean over tokens of R = A + V, with A before it is normalised",
        ("Average return of a token.", "词元回报的平均；A 取归一化之前的值。"),
    ),
    "rewards/margins": Metric(
        "nats",
        "mean over pairs of β·(log π/π_ref of the chosen − log π/π_ref of the rejected)",
        ("How much DPO has moved apart the better and the worse.", "DPO 把好坏回答拉开了多少。"),
    ),
    "rewards/accuracies": Metric(
        "share of pairs",
        "mean of [margin > 0]",
        ("Pairs in which the better one is preferred.", "偏好较好者的回答对所占比例。"),
    ),
}
