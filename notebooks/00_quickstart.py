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
# 先看录像里的一组回答并核对数字，再训练几步，途中拧一个旋钮。全程只用 CPU，不联网，30 秒内跑完；图都是静态的。

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
# The model answered one question G times. Rewards say how good each answer is; the advantage says how much better than
# the group. Every token is tinted by its probability ratio r = π / π_old. `lang="zh"` turns the words to Chinese.
#
# 模型对同一道题答了 G 次。奖励说每个回答有多好，优势说它比本组好多少；词元的底色是概率比 r。中文图用 `lang="zh"`。

# %%
tape = open_tape()
record = tape.record(tape.focus["step"])
group = record.groups[tape.focus["group"]]
show(group)

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
# At the first of the μ inner updates the policy has not moved yet: every ratio is exactly 1 and the clip cannot act.
#
# μ 次内层更新的第一次，策略还没有动：所有概率比恰为 1，裁剪不起作用。

# %%
assert all((completion.ratio_by_update[0] == 1).all() for completion in group.completions)
show_clip(group, update=0)

# %% [markdown]
# At the last one some tokens have left the band. A cross has lost its gradient; a triangle is outside the band and
# still learns, for a step there leads back.
#
# 到最后一次，有些词元走出了裁剪带。叉号：梯度为零；三角：在带外但仍在学习，因为更新会把它拉回来。

# %%
show_clip(group)

# %% [markdown]
# ## Train, and turn a knob · 训练并拧旋钮
#
# `session.run` yields the full record of every step. A knob is validated at once and used from the next step on.
#
# `session.run` 逐步给出完整记录。旋钮当场校验，从下一步起生效。

# %%
session = Session(
    RunConfig(model="tiny", task="addition", seed=0),
    Knobs(num_generations=8, num_iterations=4, beta=0.04, max_completion_length=48),
)
for record in session.run(4):
    print(f"step {record.step}: reward {record.metrics['reward']:.2f}")

session.set(beta=0.1, epsilon=0.1)
for record in session.run(4):
    print(f"step {record.step}: reward {record.metrics['reward']:.2f}, β = {record.knobs.beta}")

# %%
changes = {event["knob"]: (event["step"], event["old"], event["new"]) for event in session.store.events()}
assert changes == {"beta": (5, 0.04, 0.1), "epsilon": (5, 0.2, 0.1)}
show(session.store)

# %% [markdown]
# A group of the last step that still teaches something: its rewards differ.
#
# 最后一步里还学得到东西的一组：奖励不全相同。

# %%
alive = next((group for group in record.groups if not group.is_dead), record.groups[0])
show(alive)

# %% [markdown]
# ✓ All checks passed. Next: `make app` shows such a run live, with every knob at hand.
#
# ✓ 全部核对通过。下一步：`make app` 打开页面，实时看这样的训练，旋钮随手可拧。
