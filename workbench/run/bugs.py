"""Mistakes on purpose, in words: eight that a run can be given, how each shows, and what catches it.

`engine/bugs.py` makes them. `RunConfig.bug` takes one of these names; it is never on by default.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Words = tuple[str, str]  # English, Chinese
_TESTS = "tests/engine/test_bugs.py::"
_SCORING = f"{_TESTS}test_scoring_gives_the_log_probabilities_that_sampling_recorded"


@dataclass(frozen=True, kw_only=True)
class Bug:
    """One mistake. `knobs` are values of the knobs under which it shows."""

    title: Words
    mistake: Words
    symptom: Words  # where to look, and what one sees there
    metric: str  # the number that shows it: of a step's metrics, of an inner update, or of a completion
    reading: Words  # that number without and with the mistake
    caught_by: str  # the test that passes without the mistake and fails with it
    source: Words
    knobs: Mapping[str, Any] = field(default_factory=dict)


BUGS: Mapping[str, Bug] = {
    "ratio_to_reference": Bug(
        title=("Ratio against the reference", "概率比的分母用了参考策略"),
        mistake=(
            "The ratio divides by the reference policy instead of the policy that sampled.",
            "概率比除以参考策略，而不是采样时的旧策略。",
        ),
        symptom=(
            "Look at the ratios of the first inner update from step 2 on: they are not 1, and as the policy learns "
            "they leave the band, so the clip cuts tokens before anything has moved.",
            "从第 2 步起看第一次内层更新的概率比：不等于 1；策略学得越多，越多词元在更新之前就已出带、被裁剪。",
        ),
        metric="updates[0].ratio_max",
        reading=(
            "Exactly 1 without the mistake; with it, it grows with the distance from the reference.",
            "正确时恰为 1；出错时随策略离参考策略的距离增大。",
        ),
        caught_by=f"{_TESTS}test_the_ratio_is_exactly_1_before_the_first_update",
        source=(
            "Proposed and turned down in huggingface/trl#2837; asked in brendanhogan/DeepSeekRL-Extended#5; "
            "corrected in natolambert/rlhf-book#488.",
            "huggingface/trl#2837 曾如此提议而未被接受；brendanhogan/DeepSeekRL-Extended#5 有人提问；"
            "natolambert/rlhf-book#488 更正过。",
        ),
        knobs={"num_iterations": 4, "beta": 0.04, "learning_rate": 1e-3},
    ),
    "ratio_inverted": Bug(
        title=("Ratio upside down", "概率比上下颠倒"),
        mistake=(
            "The ratio is π_old / π instead of π / π_old, so its slope has the wrong sign.",
            "概率比写成了 π_old / π，而不是 π / π_old，于是斜率反号。",
        ),
        symptom=(
            "Look at the coefficients: tokens of good completions are pushed down and those of bad ones up, and the "
            "reward falls. The loss and the first ratio look right; the ratios drawn from the log-probabilities stay "
            "upright, those that the loss used are in ratio_min and ratio_max.",
            "看梯度系数：好回答的词元被压低，坏回答的被推高，奖励下降。损失和首次概率比看上去都正常；"
            "图上的概率比由对数概率算出，仍是正的方向，损失实际用的在 ratio_min 与 ratio_max 里。",
        ),
        metric="completions[i].coefficients_by_update[0]",
        reading=(
            "The sign of the advantage without the mistake; the opposite sign with it.",
            "正确时与优势同号；出错时反号。",
        ),
        caught_by=f"{_TESTS}test_the_first_update_moves_the_adapter_along_the_reinforce_gradient",
        source=(
            "Circulating notes print it so; suspected of openai/baselines#652 and hill-a/stable-baselines#447, which "
            "hold negative log-probabilities and are right.",
            "流传的笔记里有这样的印法；openai/baselines#652 与 hill-a/stable-baselines#447 曾被怀疑如此，"
            "其实那里存的是负对数概率，并没有错。",
        ),
        knobs={"num_iterations": 4, "learning_rate": 1e-3},
    ),
    "logps_without_gradient": Bug(
        title=("Log-probabilities without gradient", "对数概率没有梯度"),
        mistake=(
            "The policy's log-probabilities enter the loss as constants, as if scored under no_grad.",
            "策略的对数概率以常数进入损失，如同在 no_grad 下打分。",
        ),
        symptom=(
            "Look at the gradient norm: it is 0 in every step while the loss still has a value; no ratio leaves 1, "
            "the KL stays 0, and the reward only wanders.",
            "看梯度范数：每一步都是 0，而损失照样有数值；概率比始终为 1，KL 始终为 0，奖励只是随机起伏。",
        ),
        metric="grad_norm",
        reading=(
            "Above 0 in every step with a live group without the mistake; exactly 0 with it.",
            "正确时只要有活组就大于 0；出错时恰为 0。",
        ),
        caught_by=f"{_TESTS}test_advantages_that_differ_move_the_weights",
        source=(
            "Circulating notes; the same effect, by a ratio that was a constant, in Goekdeniz-Guelmez/mlx-lm-lora#55.",
            "流传的笔记；Goekdeniz-Guelmez/mlx-lm-lora#55 因概率比是常数而有同样的结果。",
        ),
        knobs={"num_iterations": 4, "loss_type": "dapo"},
    ),
    "k1_as_loss": Bug(
        title=("k1 as the penalty", "把 k1 当作惩罚"),
        mistake=(
            "log π − log π_ref itself is added to the loss, and the mean of its gradient over samples is 0.",
            "把 log π − log π_ref 本身加进损失，而它的梯度对样本取均值为 0。",
        ),
        symptom=(
            "Look at step 1, where policy and reference are the same: every token is already pushed down by β, in dead "
            "groups too, so there is a gradient where there is nothing to learn. Later the KL per token is often "
            "negative, and a large β does not hold the policy back. From step 1 on kl_estimator reads k1.",
            "看第 1 步，此时策略与参考策略相同：每个词元已被 β 压低，死组里也是，无可学却有梯度。"
            "之后逐词元的 KL 常为负，β 再大也拉不住策略。从第 1 步起 kl_estimator 显示为 k1。",
        ),
        metric="groups[g].budget[0].kl",
        reading=(
            "Exactly 0 at step 1 without the mistake; β times the sum of the group's token weights with it.",
            "正确时第 1 步恰为 0；出错时为 β 乘以组内词元权重之和。",
        ),
        caught_by=f"{_TESTS}test_the_expected_gradient_of_the_kl_penalty_is_along_that_of_the_kl",
        source=(
            "On a few pitfalls in KL divergence gradient estimation for RL, https://arxiv.org/abs/2506.09477; "
            "a larger β with a larger KL in allenai/open-instruct#534.",
            "论文 On a few pitfalls in KL divergence gradient estimation for RL，https://arxiv.org/abs/2506.09477；"
            "allenai/open-instruct#534 里 β 越大 KL 反而越大。",
        ),
        knobs={"beta": 0.5, "learning_rate": 1e-3},
    ),
    "batch_mean_baseline": Bug(
        title=("Mean over the batch", "基线用了整批的均值"),
        mistake=(
            "Rewards are compared with the mean and std of the whole batch instead of those of their group.",
            "奖励减去整批而非本组的均值，再除以整批的标准差。",
        ),
        symptom=(
            "Look at a dead group: its advantages are not 0. All answers to an easy question are pushed up and all "
            "to a hard one down, whatever they say.",
            "看死组：优势不为 0。容易的题不论答得怎样全被推高，难题则全被压低。",
        ),
        metric="completions[i].advantage",
        reading=(
            "Its mean over a group is 0 without the mistake; with it, it follows the group's mean reward.",
            "正确时组内均值为 0；出错时跟随该组的平均奖励。",
        ),
        caught_by=f"{_TESTS}test_equal_rewards_in_a_group_give_its_completions_no_advantage",
        source=(
            "PrimeIntellect-ai/prime-rl#600 (prompts repeated in the wrong order); THUDM/slime#1414 (groups of "
            "unequal size).",
            "PrimeIntellect-ai/prime-rl#600（题目重复的次序错了）；THUDM/slime#1414（组的大小不等）。",
        ),
    ),
    "eos_not_in_mask": Bug(
        title=("End token not in the mask", "结束符不在掩码内"),
        mistake=(
            "The loss mask leaves out the end-of-sequence token, as where padding is found by its id and the two ids "
            "are the same.",
            "损失掩码漏掉了结束符，例如按编号找填充、而填充与结束符是同一个编号时。",
        ),
        symptom=(
            "Look at the last token of a completion that ended: its coefficient is 0 whatever the advantage, so "
            "stopping is never learned; a reward for stopping moves lengths only by way of the other tokens.",
            "看正常结束的回答的最后一个词元：不论优势如何，梯度系数都是 0，所以学不会停；"
            "对停止的奖励只能经由其他词元影响长度。",
        ),
        metric="completions[i].coefficients_by_update[0][-1]",
        reading=(
            "Weight times advantage without the mistake; exactly 0 with it.",
            "正确时为权重乘以优势；出错时恰为 0。",
        ),
        caught_by=f"{_TESTS}test_the_end_of_sequence_token_has_a_coefficient",
        source=(
            "open-thought/tiny-grpo, train.py; huggingface/trl#6357 (another trainer of TRL); "
            "rasbt/reasoning-from-scratch#185.",
            "open-thought/tiny-grpo 的 train.py；huggingface/trl#6357（TRL 的另一个训练器）；"
            "rasbt/reasoning-from-scratch#185。",
        ),
    ),
    "padding_shift": Bug(
        title=("Log-probabilities one position off", "对数概率错开一位"),
        mistake=(
            "Each token is scored with the logits that come after it instead of those that predicted it.",
            "给每个词元打分时，用的是它之后的 logits，而不是预测它的那一个。",
        ),
        symptom=(
            "Look at the difference between sampled and scored log-probabilities: many nats instead of rounding "
            "errors. Ratios still begin at 1, for old and new are off alike, but the reward does not climb.",
            "看采样与打分的对数概率之差：是许多 nat，而不是舍入误差。新旧错得一样，概率比仍从 1 开始，但奖励升不上去。",
        ),
        metric="sampling/sampling_logp_difference/mean",
        reading=(
            "Rounding errors (1e-6 nats in float32) without the mistake; about 18 nats on the bundled model with it.",
            "正确时为舍入误差（float32 下约 1e-6 nat）；出错时在自带模型上约为 18 nat。",
        ),
        caught_by=_SCORING,
        source=(
            "lucidrains/PaLM-rlhf-pytorch#31; found in review in PrimeIntellect-ai/prime-rl#1525.",
            "lucidrains/PaLM-rlhf-pytorch#31；PrimeIntellect-ai/prime-rl#1525 在评审中发现。",
        ),
    ),
    "temperature_forgotten": Bug(
        title=("Temperature forgotten in scoring", "打分时忘了温度"),
        mistake=(
            "Completions are sampled at the temperature T but scored at 1.",
            "按温度 T 采样，却按温度 1 打分。",
        ),
        symptom=(
            "Look at the difference between sampled and scored log-probabilities: up to a nat on single tokens instead "
            "of rounding errors; below T = 1 the entropy reads too high. Ratios still begin at 1 and the reward may "
            "still rise, so nothing else warns.",
            "看采样与打分的对数概率之差：个别词元可达 1 nat，而不是舍入误差；T 小于 1 时熵读数偏高。"
            "概率比仍从 1 开始，奖励也可能照样上升，别处都看不出来。",
        ),
        metric="sampling/sampling_logp_difference/mean",
        reading=(
            "Rounding errors (1e-6 nats in float32) without the mistake; the further T is from 1, the more with it.",
            "正确时为舍入误差（float32 下约 1e-6 nat）；出错时 T 离 1 越远差得越多。",
        ),
        caught_by=_SCORING,
        source=(
            "Mended in huggingface/trl#3029, unslothai/unsloth-zoo#832 and databricks/compose-rl#105.",
            "huggingface/trl#3029、unslothai/unsloth-zoo#832、databricks/compose-rl#105 各自改正过。",
        ),
        knobs={"temperature": 0.7},
    ),
}
