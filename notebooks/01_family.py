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
# GRPO, its variants and its neighbours, taken apart on numbers small enough to check. What is claimed is asserted: if
# a claim were false, the notebook would not run to its end. CPU, offline, under a minute.
#
# 在能手算的小例子上拆开 GRPO、它的变体和近邻。论断都有 `assert`：若不成立，笔记本就跑不完。
# 只用 CPU，不联网，一分钟内。

# %%
import sys

sys.path.insert(0, "..")  # the repository's root

import torch

from workbench import Knobs, RunConfig, Session
from workbench.grpo import (
    KL_ESTIMATORS,
    estimate_advantages,
    grpo_loss,
    method_coefficient,
    process_advantages,
)
from workbench.run.presets import preset_settings

torch.manual_seed(0)


def gradient(loss_type, logps, old_logps, advantages, mask, **options):
    """Return −∂loss/∂log π of every token, by autograd."""
    leaf = logps.clone().requires_grad_()
    grpo_loss(leaf, old_logps, None, advantages, mask, loss_type=loss_type, **options).loss.backward()
    return -leaf.grad


# %% [markdown]
# ## One update on fresh samples · 新样本只更新一次
#
# With π = π_old the ratio is 1 in value but not in gradient: the clipped form, and the *online* form
# `exp(lp − lp.detach())·A` that older trainers used, push every token alike. Their loss is near 0, the gradient is not.
#
# π = π_old 时概率比的值为 1，梯度却不为 0：裁剪形式与旧实现的*在线*形式 `exp(lp − lp.detach())·A`
# 对每个词元的推力完全相同。损失接近 0，梯度不是。

# %%
logps = -torch.rand(4, 6)
mask = torch.tensor([[1] * 6, [1] * 4 + [0] * 2, [1] * 5 + [0], [1] * 2 + [0] * 4])
advantages = torch.tensor([1.0, -1.0, 1.0, -1.0])

clipped, online = (gradient(kind, logps, logps, advantages, mask) for kind in ("grpo", "online"))
loss = grpo_loss(logps, logps, None, advantages, mask).loss

assert torch.equal(clipped, online)
assert abs(loss) < 1e-6 and clipped.norm() > 0.1
print(f"loss {loss.item():+.1e}, gradient norm {clipped.norm():.3f}")

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
# ## Six ways to say how good a completion was · 六种优势
#
# The same eight rewards, two groups. Pass@k rewards only what would raise the best of k; rank forgets by how much.
#
# 同样的八个奖励，两组。pass@k 只看能否提高 k 个里的最好者；rank 忘掉差距，只记名次。

# %%
rewards = torch.tensor([[1.0], [0.0], [0.0], [0.0], [1.0], [1.0], [1.0], [0.2]])
for name in ("grpo", "rloo", "reinforce_plus_plus", "gdpo", "pass_at_k", "rank"):
    values = estimate_advantages(rewards, torch.ones(1), 4, advantage_estimator=name, pass_k=2)
    print(f"{name:20s}", "  ".join(f"{v:+.2f}" for v in values.tolist()))
    if name != "pass_at_k":
        torch.testing.assert_close(values.view(2, 4).sum(1), torch.zeros(2), atol=1e-4, rtol=0)

z, mean_only = (estimate_advantages(rewards, torch.ones(1), 4, scale_rewards=s) for s in ("group", "none"))
assert z[7].abs() > 1.4 and mean_only[7].abs() < 0.65, "the std makes a small difference count as much as a large one"

# %% [markdown]
# ## Three estimators of one KL, three different pulls · 三种 KL 估计，三种拉力
#
# On a policy over five tokens everything can be summed exactly. In value k1 and k3 are right on average; as a *loss*,
# k1 pulls nowhere, k2 along the reverse KL, k3 along the forward KL.
#
# 策略只有五个词元，一切都能精确求和。就*值*而言 k1、k3 平均正确；作为*损失*，k1 平均无拉力，
# k2 沿反向 KL，k3 沿前向 KL。

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
torch.testing.assert_close(pull(values["k1"]), torch.zeros_like(logits))
torch.testing.assert_close(pull(values["k2"]), pull(reverse))
torch.testing.assert_close(pull(values["k3"]), pull(forward))
print(f"KL {reverse:.4f}", {name: round(value.item(), 4) for name, value in values.items()})

# %% [markdown]
# ## Rewards for single steps · 过程监督
#
# Two completions, three and two steps. All five rewards are z-scored together; a token's advantage is the sum over the
# steps that end at or after it.
#
# 两个回答，分别三步和两步。五个奖励一起做 z 分数；词元的优势是在它及其后结束的各步之和。

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
# SFT, RFT, DPO, PPO and GRPO all move along Σ c·∇log π. Only the coefficient c of a token is their own.
#
# SFT、RFT、DPO、PPO、GRPO 都沿 Σ c·∇log π 移动，不同的只是每个词元的系数 c。

# %%
ones, weights = torch.ones(2, 3), torch.full((2, 3), 1 / 6)
logps, ref_logps = -torch.rand(2, 3), -torch.rand(2, 3)
pairs = torch.tensor([[0, 1]])
coefficients = {
    "sft": method_coefficient("sft", logps=logps, kept=torch.tensor([True, True]), mask=ones, weights=weights),
    "rft": method_coefficient("rft", logps=logps, kept=torch.tensor([True, False]), mask=ones, weights=weights),
    "dpo": method_coefficient("dpo", logps=logps, ref_logps=ref_logps, mask=ones, pairs=pairs, beta=0.5),
    "grpo": method_coefficient(
        "grpo",
        logps=logps,
        old_logps=logps,
        ref_logps=ref_logps,
        advantages=torch.tensor([1.0, -1.0]),
        mask=ones,
        beta=0.04,
    ),
}
for name, values in coefficients.items():
    print(f"{name:5s}", "  ".join(f"{v:+.3f}" for v in values.flatten().tolist()))
assert (coefficients["rft"][1] == 0).all() and (coefficients["dpo"][0] > 0).all() and (coefficients["dpo"][1] < 0).all()

# %% [markdown]
# ## A known mistake, and how it shows · 一个已知的错误
#
# Every mistake of the bug zoo is a preset. Here the ratio is taken against the reference: at the first inner update it
# should be exactly 1, and from the second step on it is not.
#
# 错误动物园里每个错误都是一个预设。这里概率比的分母错用了参考策略：首次内层更新本应恰为 1，从第二步起却不是。

# %%
for name in ("addition", "bug_ratio_to_reference"):
    settings, knobs = preset_settings(name)
    session = Session(RunConfig.from_mapping(settings | {"seed": 0}), Knobs().changed(knobs | {"num_iterations": 2}))
    record = list(session.run(3))[-1]
    first = record.updates[0]
    print(f"{name:24s} first ratios {first['ratio_min']:.3f} to {first['ratio_max']:.3f}")
    assert (first["ratio_min"] == first["ratio_max"] == 1) == (name == "addition")

# %% [markdown]
# ✓ All checks passed. `python -m workbench train --preset NAME` trains any of them; `make app` shows it live.
#
# ✓ 全部核对通过。`python -m workbench train --preset 名字` 可训练其中任何一个；`make app` 打开页面实时看。
