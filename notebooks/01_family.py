# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The family · 算法家族
#
# GRPO, its variants and related methods, taken apart on numbers small enough to check. What is claimed is asserted: if
# a claim were false, the notebook would not run to its end. CPU, offline, under a minute.
#
# 在能手算的小例子上拆开 GRPO、它的变体和相关方法。论断都有 `assert`：若不成立，笔记本就跑不完。
# 只用 CPU，不联网，一分钟内。

# %%
import sys

sys.path.insert(0, "..")  # the repository's root

import torch

from workbench import Knobs, RunConfig, Session
from workbench.grpo import (
    KL_ESTIMATORS,
    estimate_advantages,
    generalised_advantages,
    grpo_loss,
    method_coefficient,
    process_advantages,
    terminal_rewards,
    token_weights,
)
from workbench.run.presets import PRESETS, preset_settings

torch.manual_seed(0)


def gradient(loss_type, logps, old_logps, advantages, mask, **options):
    """Return −∂loss/∂log π of every token, by autograd."""
    leaf = logps.clone().requires_grad_()
    grpo_loss(leaf, old_logps, None, advantages, mask, loss_type=loss_type, **options).loss.backward()
    return -leaf.grad


# %% [markdown]
# ## GRPO whole, by hand · GRPO 全貌，手写一遍
#
# $$J = \frac1G \sum_i \frac1{|o_i|} \sum_t \Big[
# \min\big(rA,\ \mathrm{clip}(r, 1-\varepsilon, 1+\varepsilon)\,A\big) - \beta\,(e^d - d - 1) \Big],
# \qquad r = \frac{\pi}{\pi_{old}}, \quad d = \log \pi_{ref} - \log \pi$$
#
# The loss is −J. i counts the G completions of one prompt, t the |o_i| tokens of each; A is the z-score of the
# completion's reward in its group. With several groups, J is averaged over them. The library's loss has the same value
# and the same gradient.
#
# 损失为 −J。i 数一道题的 G 个回答，t 数每个回答的 |o_i| 个词元；A 是回答的奖励在组内的 z 分数。
# 有多组时，J 对各组取平均。库里的损失与它值相同，梯度也相同。


# %%
def grpo_by_hand(logps, old_logps, ref_logps, rewards, mask, num_generations, epsilon=0.2, beta=0.04):
    groups = rewards.view(-1, num_generations)
    A = ((groups - groups.mean(1, keepdim=True)) / (groups.std(1, keepdim=True) + 1e-4)).view(-1, 1)
    r, d = (logps - old_logps).exp(), ref_logps - logps
    J = torch.min(r * A, r.clamp(1 - epsilon, 1 + epsilon) * A) - beta * (d.exp() - d - 1)
    return -((J * mask).sum(1) / mask.sum(1)).mean()  # over tokens, then over completions: all groups have G


rewards = torch.tensor([1.0, 0.0, 0.5, 0.2, 1.0, 1.0])  # two groups of three
mask = torch.tensor([[1] * 6, [1] * 4 + [0] * 2, [1] * 2 + [0] * 4, [1] * 5 + [0], [1] + [0] * 5, [1] * 6])
logps = -torch.rand(6, 6)
old_logps, ref_logps = logps + 0.25 * torch.randn(6, 6), logps + 0.25 * torch.randn(6, 6)
advantages = estimate_advantages(rewards[:, None], torch.ones(1), 3)

leaf, library_leaf = logps.clone().requires_grad_(), logps.clone().requires_grad_()
by_hand = grpo_by_hand(leaf, old_logps, ref_logps, rewards, mask, num_generations=3)
terms = grpo_loss(library_leaf, old_logps, ref_logps, advantages, mask, loss_type="grpo", beta=0.04)
by_hand.backward()
terms.loss.backward()

cut = terms.clipped
assert cut.any(1)[advantages > 0].any() and cut.any(1)[advantages < 0].any(), "the clip cuts on both sides"
torch.testing.assert_close(by_hand, terms.loss)
torch.testing.assert_close(leaf.grad, library_leaf.grad)
print(f"loss {by_hand.item():.4f}; {int(cut.sum())} of {int(mask.sum())} tokens cut, ", end="")
print(f"ratios {terms.ratio[mask == 1].min():.2f} to {terms.ratio[mask == 1].max():.2f}")

# %% [markdown]
# ## One update on fresh samples · 新样本只更新一次
#
# With π = π_old the ratio equals 1, yet its gradient is not 0 (∂r/∂log π = r = 1): the clipped form, and the *online*
# form `exp(lp − lp.detach())·A` that older trainers used, push every token alike. The loss is near 0, for the
# advantages cancel; the gradient is not.
#
# π = π_old 时概率比等于 1，梯度却不为 0（∂r/∂log π = r = 1）：裁剪形式与旧实现的*在线*形式 `exp(lp − lp.detach())·A`
# 对每个词元的推力完全相同。优势正负相抵，损失接近 0，梯度却不是 0。

# %%
logps = -torch.rand(4, 6)
mask = torch.tensor([[1] * 6, [1] * 4 + [0] * 2, [1] * 5 + [0], [1] * 2 + [0] * 4])
advantages = torch.tensor([1.0, -1.0, 1.0, -1.0])

clip, online = (gradient(kind, logps, logps, advantages, mask) for kind in ("grpo", "online"))
loss = grpo_loss(logps, logps, None, advantages, mask).loss

assert torch.equal(clip, online)
assert abs(loss) < 1e-6 and clip.norm() > 0.1
print(f"loss {loss.item():+.1e}, gradient norm {clip.norm():.3f}")

# %% [markdown]
# ## What each loss does to a token that has left the band · 词元出带之后
#
# One token of a good completion (A = 1), as its ratio grows. The clip stops pushing at 1 + ε; sapo grows at first and
# fades out far away; cispo grows up to its cap and stays there; online never looks.
#
# 好回答（A = 1）的一个词元，概率比逐渐变大：裁剪在 1 + ε 处停手；sapo 先升，远处渐弱；cispo 升到封顶后保持不变；online
# 根本不看。

# %%
ratios = torch.tensor([0.8, 1.0, 1.1, 1.3, 2.0, 4.0])
one = torch.ones(len(ratios), 1)
push = {
    kind: gradient(kind, ratios.log()[:, None], torch.zeros_like(one), one[:, 0], one, **options)[:, 0] * len(ratios)
    for kind, options in {"grpo": {}, "sapo": {}, "cispo": {"epsilon_high": 3.0}, "online": {}}.items()
}
print("ratio  ", "  ".join(f"{r:5.2f}" for r in ratios.tolist()))
for kind, values in push.items():
    print(f"{kind:7s}", "  ".join(f"{v + 0.0:5.2f}" for v in values.tolist()))

assert (push["grpo"][ratios > 1.2] == 0).all() and (push["grpo"][ratios <= 1.2] > 0).all()
assert (push["sapo"] > 0).all() and push["sapo"][-1] < push["sapo"][1]
torch.testing.assert_close(push["cispo"], ratios.clamp(max=3.0))
torch.testing.assert_close(push["online"], torch.ones(len(ratios)))

# %% [markdown]
# ## How token losses are averaged · 词元损失如何平均
#
# One completion has 2 tokens, the other 8; 10 would be the most. `grpo` gives both completions the same weight, so a
# token of the long one weighs a quarter: a long wrong answer is punished less per token than a short one. That is the
# length bias. `dapo` gives all tokens of the batch the same weight. So does `dr_grpo`, but it divides by the fixed
# greatest length: a weight does not depend on how long the others are.
#
# 一个回答 2 个词元，另一个 8 个，上限 10 个。`grpo` 给两个回答同样的权重，于是长回答的每个词元只有短回答的四分之一，
# 错的长回答，每个词元受的惩罚更轻。这就是长度偏差。`dapo` 给整批词元同样的权重。`dr_grpo` 也是，但除以固定的最大长度：
# 权重与别的回答多长无关。

# %%
mask = torch.tensor([[1] * 2 + [0] * 6, [1] * 8])
per_token, whole = {}, {}
print("          per token: short   long     whole: short   long")
for kind in ("grpo", "dapo", "dr_grpo"):
    weights = token_weights(kind, mask, max_completion_length=10)
    per_token[kind], whole[kind] = weights[:, 0], weights.sum(1)
    numbers = [f"{value:.4f}" for value in (*weights[:, 0], *weights.sum(1))]
    print(f"{kind:8s}{numbers[0]:>18s} {numbers[1]}{numbers[2]:>17s} {numbers[3]}")

torch.testing.assert_close(whole["grpo"], torch.tensor([0.5, 0.5]))
torch.testing.assert_close(per_token["grpo"][0], 4 * per_token["grpo"][1])
torch.testing.assert_close(per_token["dapo"], torch.full((2,), 1 / 10))  # 2 + 8 tokens
torch.testing.assert_close(per_token["dr_grpo"], torch.full((2,), 1 / 20))  # 2 completions of at most 10

shorter = torch.tensor([[1] * 2 + [0] * 6, [1] * 4 + [0] * 4])
assert token_weights("dapo", shorter)[0, 0] > per_token["dapo"][0]
assert token_weights("dr_grpo", shorter, max_completion_length=10)[0, 0] == per_token["dr_grpo"][0]

# %% [markdown]
# ## One ratio per completion: GSPO · 整段一个概率比：GSPO
#
# The reward judges the completion as a whole; GSPO takes the ratio of the whole, too: s = (Π_t r_t)^(1/|o|), the
# geometric mean. Here A = 1 and ε = 0.2. Token by token the first one is beyond 1 + ε and gets no push, the others each
# their own; s is inside the band, and pushes all alike. An average moves less than its parts, so GSPO's ε is small (the
# preset `gspo`: 0.003).
#
# 奖励评的是整个回答；GSPO 的概率比也取整段的：s = (Π_t r_t)^(1/|o|)，即几何平均。这里 A = 1，ε = 0.2。
# 逐词元看，第一个超过 1 + ε，没有推力，其余各按各的；s 在带内，对所有词元推力相同。平均值比单个词元动得少，
# 所以 GSPO 的 ε 很小（预设 `gspo`：0.003）。


# %%
def ratios_and_pushes(log_ratio, level):
    """Return each token's ratio, and its push −∂loss/∂log π for A = 1."""
    log_ratio, options = torch.tensor([log_ratio]), {"importance_sampling_level": level}
    tokens = torch.zeros_like(log_ratio), torch.ones(1), torch.ones_like(log_ratio)  # old log π, A and mask
    ratio = grpo_loss(log_ratio, tokens[0], None, *tokens[1:], **options).ratio
    return ratio[0], gradient("grpo", log_ratio, *tokens, **options)[0] + 0.0


expected = {
    "token": ([1.649, 0.905, 1.0, 0.819], [0.0, 0.226, 0.250, 0.205]),
    "sequence": ([1.051] * 4, [0.263] * 4),
}
for level, (ratio, push_of_level) in expected.items():
    found = ratios_and_pushes([0.5, -0.1, 0.0, -0.2], level)
    for values, wanted in zip(found, (ratio, push_of_level), strict=True):
        torch.testing.assert_close(values, torch.tensor(wanted), atol=6e-4, rtol=0)
    print(f"{level:9s}", *("  ".join(f"{v:.3f}" for v in values.tolist()) for values in found), sep="   ")

# %% [markdown]
# ## Six ways to say how good a completion was · 六种优势
#
# The same eight rewards, two groups. Pass@k rewards only what would raise the best of k; rank forgets by how much. In
# group 2 a 0.2 among 1s gets −1.50, as extreme as the 1 among 0s in group 1: the std did that. Without it (`none`) it
# gets −0.60, and that is Dr. GRPO's point.
#
# 同样的八个奖励，两组。pass@k 只看能否提高 k 个里的最好者；rank 忘掉差距，只记名次。第 2 组里，1 中间的 0.2 得 −1.50，
# 与第 1 组里 0 中间的 1 一样极端：这是标准差造成的。不除以它（`none`）则是 −0.60：这正是 Dr. GRPO 的主张。

# %%
rewards = torch.tensor([[1.0], [0.0], [0.0], [0.0], [1.0], [1.0], [1.0], [0.2]])
without_std = estimate_advantages(rewards, torch.ones(1), 4, scale_rewards="none")
print(f"{'rewards':20s}", "  ".join(f"{v:5.2f}" for v in rewards[:, 0].tolist()))
print(f"{'grpo, none':20s}", "  ".join(f"{v:+.2f}" for v in without_std.tolist()))
for name in ("grpo", "rloo", "reinforce_plus_plus", "gdpo", "pass_at_k", "rank"):
    values = estimate_advantages(rewards, torch.ones(1), 4, advantage_estimator=name, pass_k=2)
    print(f"{name:20s}", "  ".join(f"{v:+.2f}" for v in values.tolist()))
    if name != "pass_at_k":
        torch.testing.assert_close(values.view(2, 4).sum(1), torch.zeros(2), atol=1e-4, rtol=0)

with_std = estimate_advantages(rewards, torch.ones(1), 4, scale_rewards="group")
torch.testing.assert_close(with_std[[0, 7]], torch.tensor([1.5, -1.5]), atol=1e-3, rtol=0)
torch.testing.assert_close(without_std[[0, 7]], torch.tensor([0.75, -0.6]))

# %% [markdown]
# With one reward function gdpo is grpo, normalised once more over the batch; it is made for several. Here one gives 0
# or 1, the other 0 or 10: in the sum the small one hardly counts; gdpo normalises each by itself, and they count alike.
#
# 只有一个奖励函数时，gdpo 就是 grpo 再按整批归一化一次；它是为多个奖励函数设计的。这里一个给 0 或 1，另一个给 0 或 10，
# 相加后小的几乎不起作用；gdpo 先各自归一化，两者同样重要。

# %%
two = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 10.0], [1.0, 10.0]])
print(f"{'total':6s}", "  ".join(f"{v:5.0f}" for v in two.sum(1).tolist()))
by_total, by_each = (estimate_advantages(two, torch.ones(2), 4, advantage_estimator=n) for n in ("grpo", "gdpo"))
for name, values in (("grpo", by_total), ("gdpo", by_each)):
    print(f"{name:6s}", "  ".join(f"{v:+5.2f}" for v in values.tolist()))
assert by_total[1] < -0.7 and by_total[2] > 0.7
torch.testing.assert_close(by_each[1:3], torch.zeros(2), atol=1e-3, rtol=0)

# %% [markdown]
# ## Three estimators of one KL, three different pulls · 三种 KL 估计，三种拉力
#
# At a token drawn from π, let d = log π_ref − log π; then k1 = −d, k2 = d²/2, k3 = e^d − d − 1. With a vocabulary of
# five tokens everything can be summed exactly. As a *value*, k1 and k3 are right on average, k2 is biased. As a *loss*,
# on average k1 pulls nowhere, k2 along the reverse KL, KL(π‖π_ref), and k3 along the forward KL, KL(π_ref‖π).
#
# 在从 π 采样的词元处，记 d = log π_ref − log π，则 k1 = −d，k2 = d²/2，k3 = e^d − d − 1。
# 词表只有五个词元，一切都能精确求和。就*值*而言，k1、k3 平均正确，k2 有偏；作为*损失*，平均而言 k1 无拉力，
# k2 沿反向 KL，即 KL(π‖π_ref)，k3 沿前向 KL，即 KL(π_ref‖π)。

# %%
logits = torch.randn(5, dtype=torch.float64, requires_grad=True)
policy, reference = logits.log_softmax(0), torch.randn(5, dtype=torch.float64).log_softmax(0)
weight = policy.exp().detach()  # how often each token is drawn


def pull(value):
    return torch.autograd.grad(value, logits, retain_graph=True)[0]


reverse, forward = (policy.exp() * (policy - reference)).sum(), (reference.exp() * (reference - policy)).sum()
values = {name: (weight * estimator(policy, reference)).sum() for name, estimator in KL_ESTIMATORS.items()}

for name in ("k1", "k3"):
    torch.testing.assert_close(values[name], reverse)
assert abs(values["k2"] - reverse) > 0.1 * reverse
torch.testing.assert_close(pull(values["k1"]), torch.zeros_like(logits))
torch.testing.assert_close(pull(values["k2"]), pull(reverse))
torch.testing.assert_close(pull(values["k3"]), pull(forward))
print(f"KL {reverse:.4f}", {name: round(value.item(), 4) for name, value in values.items()})

# %% [markdown]
# ## Rewards for single steps · 过程监督
#
# Two completions, three and two steps. All five rewards are z-scored together; a token's advantage is the sum of the
# normalised rewards of the steps that end at or after it.
#
# 两个回答，分别三步和两步。五个奖励一起做 z 分数；词元的优势是在它及其后结束的各步归一化奖励之和。

# %%
steps = process_advantages([[1.0, 0.0, 0.0], [1.0, 1.0]], [[1, 3, 5], [2, 4]], 2, 6)
flat = torch.tensor([1.0, 0.0, 0.0, 1.0, 1.0])
normalised = (flat - flat.mean()) / (flat.std() + 1e-4)
torch.testing.assert_close(steps.advantages[0, 0], normalised[:3].sum())
torch.testing.assert_close(steps.advantages[0, 4], normalised[2])
torch.testing.assert_close(steps.advantages[1, 3], normalised[4])
print(steps.advantages)

# %% [markdown]
# ## One formula for all methods · 统一视角
#
# SFT, RFT, DPO, PPO and GRPO all move along Σ c·∇log π. They differ in where the completions come from, in what rewards
# them, and in c. Printed is c on one fixed batch: a good completion and a bad one, three tokens each, π = π_old.
#
# SFT、RFT、DPO、PPO、GRPO 都沿 Σ c·∇log π 移动。不同的是：回答从哪里来、凭什么奖励，以及系数 c。
# 下面在同一批数据上打印 c：一个好回答、一个坏回答，各三个词元，π = π_old。
#
# | | completions · 回答 | rewarded by · 凭什么奖励 | c |
# |---|---|---|---|
# | SFT | demonstrations · 示范 | nothing · 无 | the same everywhere · 处处相同 |
# | RFT | the first policy's · 初始策略的 | right or wrong · 对或错 | SFT's if right, else 0 · 对则同 SFT，错则 0 |
# | DPO | pairs · 成对 | which is better · 哪个更好 | one up, one down · 一升一降 |
# | PPO | the policy's own · 策略自己的 | a score, spread by a critic · 得分，由评论家分摊 | by token · 逐词元 |
# | GRPO | the policy's own · 策略自己的 | a score in the group · 与同组相比 | by completion, with β · 逐回答，有 β |

# %%
ones, weights = torch.ones(2, 3), torch.full((2, 3), 1 / 6)
logps, ref_logps = -torch.rand(2, 3), -torch.rand(2, 3)
good_and_bad, values = torch.tensor([1.0, 0.0]), torch.tensor([[0.5, 0.6, 0.8], [0.5, 0.4, 0.1]])  # of a critic
by_critic, _ = generalised_advantages(terminal_rewards(good_and_bad, ones), values, ones)
by_group = estimate_advantages(good_and_bad[:, None], torch.ones(1), 2)

imitated = {"logps": logps, "mask": ones, "weights": weights}
sampled = {"logps": logps, "old_logps": logps, "mask": ones}
coefficients = {
    "sft": method_coefficient("sft", kept=torch.tensor([True, True]), **imitated),
    "rft": method_coefficient("rft", kept=torch.tensor([True, False]), **imitated),
    "dpo": method_coefficient(
        "dpo", logps=logps, ref_logps=ref_logps, mask=ones, pairs=torch.tensor([[0, 1]]), beta=0.5
    ),
    "ppo": method_coefficient("ppo", ref_logps=None, advantages=by_critic, **sampled),
    "grpo": method_coefficient("grpo", ref_logps=ref_logps, advantages=by_group, beta=0.04, **sampled),
}
print("       good                    bad")
for name, rows in coefficients.items():
    print(f"{name:5s}", "   ".join("  ".join(f"{v:+.3f}" for v in row) for row in rows.tolist()))

assert torch.equal(coefficients["rft"][0], coefficients["sft"][0]) and (coefficients["rft"][1] == 0).all()
assert (coefficients["dpo"][0] > 0).all() and (coefficients["dpo"][1] < 0).all()
assert len(set(by_critic[0].tolist())) == 3, "the critic tells a completion's tokens apart"
torch.testing.assert_close(coefficients["ppo"], by_critic / 6)
torch.testing.assert_close(coefficients["grpo"], (by_group[:, None] + 0.04 * (ref_logps - logps).expm1()) / 6)

# %% [markdown]
# ## Broken on purpose · 故意放进的错误
#
# Eight known mistakes can be built in, each by a preset. Here the ratio is taken against the reference: at the first
# inner update it should be exactly 1, and from the second step on it is not.
#
# 有八个已知的错误可以故意放进训练，每个都是一个预设。这里概率比的分母错用了参考策略：
# 首次内层更新本应恰为 1，从第二步起却不是。

# %%
assert len([name for name in PRESETS if name.startswith("bug_")]) == 8
for name in ("addition", "bug_ratio_to_reference"):
    settings, knobs = preset_settings(name)
    session = Session(RunConfig.from_mapping(settings | {"seed": 0}), Knobs().changed(knobs | {"num_iterations": 2}))
    record = list(session.run(3))[-1]
    first = record.updates[0]
    print(f"{name:24s} first ratios {first['ratio_min']:.3f} to {first['ratio_max']:.3f}")
    assert (first["ratio_min"] == first["ratio_max"] == 1) == (name == "addition")

# %% [markdown]
# ## Try it · 练习
#
# Guess before you run:
#
# 1. `grpo_by_hand`: take the `+ 1e-4` out. Does the check still pass? What comes out when a group's rewards are equal?
# 2. GSPO: how large must the first log-ratio be for all four tokens to lose their push? Find it with
#    `ratios_and_pushes`.
# 3. Advantages: let the 0.2 rise to 0.99, 0.9999, 0.999999. What does `grpo` make of it, with the std and without?
#
# 先猜，再跑：
#
# 1. `grpo_by_hand`：去掉 `+ 1e-4`，核对还能通过吗？一组奖励全相同时会怎样？
# 2. GSPO：第一个对数概率比要多大，四个词元才会全部失去推力？用 `ratios_and_pushes` 找出来。
# 3. 优势：让 0.2 升到 0.99、0.9999、0.999999。`grpo` 除与不除标准差，各得什么？
#
# <details><summary>What we saw · 我们看到的</summary>
#
# 1. No: the advantages differ in the fourth digit. Equal rewards give 0/0: the loss is nan. ·
#    不能：优势在第四位上不同。奖励全相同则 0/0，损失为 nan。
# 2. s > 1.2 needs a sum above 4·ln 1.2 = 0.729, so the first above 1.029. Then the four lose it all at once. ·
#    s > 1.2 需要总和超过 4·ln 1.2 = 0.729，即第一个超过 1.029；那时四个一起失去推力。
# 3. With the std −1.47, −0.50, −0.01: only the 1e-4 in the divisor ends it. Without, −0.0075 and smaller still. ·
#    除以标准差：−1.47、−0.50、−0.01，全靠分母里的 1e-4 才变小。不除：−0.0075，以及更小。
#
# </details>
#
# ✓ All checks passed. `python -m workbench train --preset NAME` trains any of them; `make app` shows it live.
#
# ✓ 全部核对通过。`python -m workbench train --preset 名字` 可训练其中任何一个；`make app` 打开页面实时看。
