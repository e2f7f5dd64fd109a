# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Quickstart · 快速上手
#
# Look at one group of a recorded run, check its numbers, then train a few steps and turn a knob on the way.
# Everything runs on the CPU, offline, in under 30 seconds. The pictures are static: nothing here needs JavaScript.
#
# 先看录像里的一组回答并核对数字，再训练几步，途中调整一个参数。全程只用 CPU，不联网，30 秒内跑完；图都是静态的。

# %%
import sys

sys.path.insert(0, "..")  # the repository's root

import numpy as np

from workbench import Knobs, RunConfig, Session
from workbench.run.tapes import open_tape
from workbench.views.notebook import show, show_clip

# %% [markdown]
# ## One group · 一组回答
#
# The model answered one question G = 8 times. It adds column by column, lowest digit first: `0+4+0=4` is
# `digit + digit + carry`. Three functions score each answer: reward = 1 · answer + 0.3 · steps + 0.2 · format, at most
# 1.5. The advantage says how much better an answer is than its group. Every token is tinted by its probability ratio
# r = π / π_old, where π_old is the policy that sampled; shown is the last of the step's 4 updates. `lang="zh"` turns
# the words to Chinese.
#
# 模型对同一道题答了 G = 8 次，从最低位起逐列相加：`0+4+0=4` 即 `数字 + 数字 + 进位`。三个函数给每个回答打分：
# 奖励 = 1 · 答对 + 0.3 · 步骤 + 0.2 · 格式，最高 1.5。优势说它比本组好多少。词元的底色是概率比 r = π / π_old，
# π_old 是采样时的策略；图中是这一步 4 次更新的最后一次。中文图用 `lang="zh"`。

# %%
tape = open_tape()
record = tape.record(tape.focus["step"])
group = record.groups[tape.focus["group"]]
show(group)

# %%
weights = record.reward_weights
assert weights == {"answer": 1.0, "steps": 0.3, "format": 0.2} and record.reward_max == 1.5
for completion in group.completions:
    np.testing.assert_allclose(completion.reward, sum(weights[name] * r for name, r in completion.rewards.items()))

# %% [markdown]
# The advantages are the z-scores of the rewards (the standard deviation divides by G − 1, plus 1e-4 against zero).
#
# 优势就是组内奖励的 z 分数（标准差除以 G − 1，分母再加 1e-4）。

# %%
rewards = np.array([completion.reward for completion in group.completions])
advantages = np.array([completion.advantage for completion in group.completions])
z_scores = (rewards - rewards.mean()) / (rewards.std(ddof=1) + 1e-4)

assert record.knobs.scale_rewards == "group"
np.testing.assert_allclose(advantages, z_scores, atol=1e-5)

# %% [markdown]
# ## The clip · 裁剪
#
# At the first of the μ = 4 inner updates the policy has not moved yet: every ratio is exactly 1 and the clip cannot
# act.
#
# μ = 4 次内层更新的第一次，策略还没有动：所有概率比恰为 1，裁剪不起作用。

# %%
assert all((completion.ratio_by_update[0] == 1).all() for completion in group.completions)
show_clip(group, update=0)

# %% [markdown]
# At the last one 8 tokens have left the band, 4 in each panel (drawn below one another so that they can be counted;
# only the top one is on the curve). A cross is a token whose *reward* gradient the clip has cut; what is left is the
# KL's, which pulls it back to the reference. Outside the band on the other side a token would be a triangle and go on
# learning; this group has none.
#
# 到最后一次，8 个词元走出裁剪带，左右各 4 个（为便于计数上下错开，只有最上面的在曲线上）。
# 叉号：*奖励*的梯度被裁剪切断，只剩 KL 把它拉回参考策略。若从另一侧出带，则画成三角并继续学习，本组没有。

# %%
show_clip(group)

# %% [markdown]
# So the push on log π of a token is w · (r·A + β · (π_ref/π − 1)), without r·A under a cross. w is the token's weight
# in the loss; this run has β = 0.1.
#
# 所以对一个词元 log π 的推力是 w · (r·A + β · (π_ref/π − 1))，叉号处没有 r·A。w 是词元在损失中的权重；
# 这次训练 β = 0.1。

# %%
beta = record.knobs.beta
for completion in group.completions:
    pull = beta * np.expm1(completion.ref_logps - completion.logps)
    push = np.where(completion.clipped, 0, completion.ratio * completion.advantage)
    recorded = completion.coefficients_by_update[-1]  # as autograd gave it
    np.testing.assert_allclose(recorded, completion.weight * (push + pull), atol=1e-6)

    (cross,) = np.flatnonzero(completion.clipped)  # one a completion
    assert (completion.outside_band == completion.clipped).all(), "no triangles"
    assert np.sign(recorded[cross]) == np.sign(completion.ref_logps[cross] - completion.logps[cross]) != 0
assert (advantages > 0).sum() == (advantages < 0).sum() == 4

# %% [markdown]
# ## How one reward finds the wrong digit · 一个奖励怎样找到错的那一位
#
# All tokens of a completion share one advantage, yet only one is tinted. At all others the model was nearly certain
# (π_old ≥ 0.98), and a push on log π moves a token's own logit by 1 − π: hardly at all. At this one it hesitated
# between `5` and `4`, and the push goes there. Had it been sure of `5`, all 8 answers would have been equally wrong: a
# dead group, and nothing to learn.
#
# 一个回答的所有词元共用一个优势，却只有一个词元着色。在别处模型几乎确定（π_old ≥ 0.98），
# 而对 log π 的推力传到该词元的 logit 上要乘 1 − π，几乎为零；在这里它在 `5` 与 `4` 之间犹豫，推力就落在这里。
# 若它一口咬定 `5`，8 个回答会错得一样，成为死组，什么也学不到。

# %%
for completion in group.completions[:2]:
    chance = np.exp(completion.old_logps)
    digit = int(chance.argmin())
    chances, ratios = np.delete(chance, digit), np.delete(completion.ratio, digit)
    assert (completion.token_advantages == completion.token_advantages[0]).all()
    assert chance[digit] < 0.7 and chances.min() >= 0.98 and abs(ratios - 1).max() < 0.02
    print(f"{completion.tokens[digit]!r}: A {completion.advantage:+.2f}, π_old {chance[digit]:.2f}", end=", ")
    print(f"1 − π_old {1 - chance[digit]:.2f}, ratio after 3 updates {completion.ratio[digit]:.2f}")
    print(
        f"the {len(chances)} others: π_old {chances.min():.3f} or more, ratios {ratios.min():.3f} to {ratios.max():.3f}"
    )

# %% [markdown]
# ## Train, and turn a knob · 训练并调整参数
#
# `session.run` yields the full record of every step. A knob is validated at once and used from the next step on. β
# weighs the KL, how far the policy has gone from the reference (the model before training). Two runs from one seed
# begin at β = 1; after 4 steps one of them is let go: β = 0.
#
# `session.run` 逐步给出完整记录。参数当场校验，从下一步起生效。β 是 KL 的权重；
# KL 衡量策略离参考策略（训练前的模型）多远。两次训练用同一个种子，都从 β = 1 开始；4 步之后放开其中一次：β = 0。

# %%
config = RunConfig(model="tiny", task="addition", seed=0)
usual = Knobs(num_generations=8, num_iterations=4, beta=0.04, max_completion_length=48)

held, freed = Session(config, usual.changed({"beta": 1.0})), Session(config, usual.changed({"beta": 1.0}))
held_records, freed_records = list(held.run(10)), list(freed.run(4))
freed.set(beta=0.0)
freed_records += list(freed.run(6))

print("step   β  reward     KL    β  reward     KL")
for one, other in zip(held_records, freed_records, strict=True):
    runs = (f"{r.knobs.beta:4g}{r.metrics['reward']:8.2f}{r.metrics['kl']:7.3f} " for r in (one, other))
    print(f"{one.step:4d}", *runs, sep="")

# %% [markdown]
# The first 4 steps are the same. Then the freed policy goes several times as far from the reference, and its reward
# rises well above the other's: the KL holds both. (In the figure 1.5 would be the most that can be had.)
#
# 前 4 步相同。之后，放开的策略离参考策略远了好几倍，奖励也明显更高：KL 同时拉住了这两样。（图中奖励最高可到 1.5。）

# %%
reward, far = ([[r.metrics[name] for r in run] for run in (held_records, freed_records)] for name in ("reward", "kl"))
np.testing.assert_allclose(reward[0][:4], reward[1][:4])
assert max(far[1][4:]) > 3 * max(far[0][4:]) and np.mean(reward[1][-3:]) > np.mean(reward[0][-3:]) + 0.1
assert [(event["step"], event["knob"], event["old"], event["new"]) for event in freed.store.events()] == [
    (5, "beta", 1.0, 0.0)
]
show(freed)

# %% [markdown]
# A group of the last step that still teaches something: its rewards differ.
#
# 最后一步里还学得到东西的一组：奖励不全相同。

# %%
record = freed_records[-1]
alive = next((group for group in record.groups if not group.is_dead), record.groups[0])
show(alive)

# %% [markdown]
# ## Try it · 练习
#
# `attempt` trains 4 steps with other knobs and counts, at each step's last update, the dead groups (all rewards equal),
# the crosses and the triangles; `show_clip(last.groups[0])` draws. Guess before you run:
#
# 1. `num_generations=2`: do more groups die?
# 2. `num_iterations=1` (μ): where are all the dots?
# 3. `epsilon=0.05`: how many crosses and triangles?
# 4. `learning_rate=0.05`, 50 times the default: what happens to reward and KL?
# 5. `loss_type="sapo"`: what replaces the crosses?
#
# `attempt` 用别的参数训练 4 步，数出每步最后一次更新时的死组（奖励全相同）、叉号和三角；画图用
# `show_clip(last.groups[0])`。先猜，再跑：
#
# 1. `num_generations=2`：死组变多了吗？
# 2. `num_iterations=1`（μ）：点都在哪里？
# 3. `epsilon=0.05`：有多少叉号和三角？
# 4. `learning_rate=0.05`（默认值的 50 倍）：奖励和 KL 怎样了？
# 5. `loss_type="sapo"`：什么代替了叉号？


# %%
def attempt(**changes):
    print("step  reward     KL  dead groups  crosses  triangles")
    for record in Session(config, usual.changed(changes)).run(4):
        completions = [completion for group in record.groups for completion in group.completions]
        dead, crosses = sum(group.is_dead for group in record.groups), sum(c.clipped.sum() for c in completions)
        triangles = sum((c.outside_band & ~c.clipped).sum() for c in completions)
        numbers = f"{record.step:4d}{record.metrics['reward']:8.2f}{record.metrics['kl']:7.3f}"
        print(f"{numbers}{dead:8d} of {len(record.groups)}{crosses:9d}{triangles:11d}")
    return record


last = attempt()

# %% [markdown]
# <details><summary>What we saw · 我们看到的</summary>
#
# 1. Yes: 10 of 32 groups, not 1 of 32. Two answers are easily equally good. · 是的：32 组里 10 组，而不是 1 组。
#    只有两个回答，很容易同样好。
# 2. All at r = 1, in every step: with one update per batch nothing has moved yet. · 每一步都在 r = 1：每批只更新一次，
#    策略还没有动。
# 3. More of both: 136 and 49 at step 1, not 81 and 22. · 都变多：第 1 步 136 与 49，而不是 81 与 22。
# 4. After one step nothing that the model writes earns a reward: all groups are dead, so nothing leads back. The KL
#    explodes. · 一步之后，模型写什么都得不到奖励：全是死组，再也回不来。KL 爆炸。
# 5. Nothing: a soft gate lets the gradient fade with distance and never cuts it. · 什么也没有：软门让梯度随距离渐弱，
#    从不切断。
#
# </details>
#
# ✓ All checks passed. Next: `make app` shows such a run live, with every knob at hand.
#
# ✓ 全部核对通过。下一步：`make app` 打开页面，实时看这样的训练，参数随手可调。
