"""Advantages: how much better a completion was than the others that answered the same prompt.

Rewards come as one row of B = P*G numbers, the G completions of a prompt side by side. A NaN reward means "not
scorable": it counts in no mean and no std, and its advantage is 0. All other rewards are finite.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

SCALE_REWARDS = ("group", "batch", "none")
STD_FLOOR = 1e-4  # TRL's; DeepSeekMath has none, other trainers use 1e-6 or 1e-8


def grouped(rewards: Float[Tensor, " B"], num_generations: int) -> Float[Tensor, "P G"]:
    """Return the rewards as one row per prompt, in float64.

    In float64 the mean of G equal float32 rewards is exactly that reward, so a group of equals has std 0 and not 1e-9.
    Raises ValueError if a group has fewer than two completions (one has nothing to be compared with), or if B is no
    multiple of `num_generations`.

    >>> grouped(torch.tensor([1.0, 0.0, 0.5, 0.5]), 2)
    tensor([[1.0000, 0.0000],
            [0.5000, 0.5000]], dtype=torch.float64)
    """
    if num_generations < 2:
        raise ValueError(f"num_generations={num_generations}: a group needs at least 2 completions to compare")
    if len(rewards) % num_generations:
        raise ValueError(f"{len(rewards)} rewards do not divide into groups of num_generations={num_generations}")
    return rewards.to(torch.float64).view(-1, num_generations)


def nan_std(values_PN: Float[Tensor, "P N"]) -> Float[Tensor, " P"]:
    """Return the standard deviation of each row, NaN left out, dividing by N - 1 (Bessel); NaN below two values.

    >>> nan_std(torch.tensor([[1.0, 3.0, float("nan")], [1.0, float("nan"), float("nan")]]))
    tensor([1.4142,    nan])
    """
    deviations = values_PN - values_PN.nanmean(dim=1, keepdim=True)
    num_others = (~values_PN.isnan()).sum(dim=1) - 1
    return torch.where(num_others > 0, deviations.square().nansum(dim=1) / num_others, torch.nan).sqrt()


def group_mean_std(
    rewards: Float[Tensor, " B"], num_generations: int
) -> tuple[Float[Tensor, " P"], Float[Tensor, " P"]]:
    """Return the mean and the standard deviation (dividing by G - 1) of each group. Unit: reward.

    NaN rewards are left out: the mean is NaN if none is left, the std if fewer than two are. Raises as `grouped` does.

    >>> group_mean_std(torch.tensor([1.0, 3.0, 2.0, 2.0]), 2)
    (tensor([2., 2.]), tensor([1.4142, 0.0000]))
    """
    rewards_PG = grouped(rewards, num_generations)
    return rewards_PG.nanmean(dim=1).to(rewards.dtype), nan_std(rewards_PG).to(rewards.dtype)


def group_advantages(
    rewards: Float[Tensor, " B"], num_generations: int, *, scale_rewards: str = "group"
) -> Float[Tensor, " B"]:
    r"""Return $A_i = (r_i - \mu_{\text{group}}) / (\sigma + 10^{-4})$, the z-score of each reward in its group.

    `scale_rewards` says which $\sigma$, always with N - 1: "group" that of the group (no unit), "batch" that of all B
    rewards (no unit), "none" no division at all (unit: reward; Dr. GRPO). The mean is always the group's. A NaN reward
    gets 0, and so does the only scorable reward of a group. Computed in float64, returned in the rewards' dtype.

    Raises ValueError if `scale_rewards` is none of the three, and as `grouped` does.
    Source: DeepSeekMath, https://arxiv.org/abs/2402.03300; Dr. GRPO, https://arxiv.org/abs/2503.20783; as TRL 1.16.

    >>> group_advantages(torch.tensor([1.0, 0.0, 0.0, 1.0, 5.0, 5.0, 5.0, 5.0]), 4, scale_rewards="none")
    tensor([ 0.5000, -0.5000, -0.5000,  0.5000,  0.0000,  0.0000,  0.0000,  0.0000])
    >>> group_advantages(torch.tensor([1.0, 3.0]), 2)  # -1 and 1 over the square root of 2
    tensor([-0.7071,  0.7071])
    """
    if scale_rewards not in SCALE_REWARDS:
        raise ValueError(f"scale_rewards={scale_rewards!r} is none of {', '.join(SCALE_REWARDS)}")
    rewards_PG = grouped(rewards, num_generations)
    centred_PG = rewards_PG - rewards_PG.nanmean(dim=1, keepdim=True)
    if scale_rewards == "none":
        scaled_PG = centred_PG
    else:
        std = nan_std(rewards_PG if scale_rewards == "group" else rewards_PG.reshape(1, -1))
        scaled_PG = centred_PG / (std[:, None] + STD_FLOOR)
    return scaled_PG.nan_to_num(nan=0.0).flatten().to(rewards.dtype)


def is_dead(rewards: Float[Tensor, " B"], num_generations: int) -> Bool[Tensor, " P"]:
    """Return which groups teach nothing: rewards all equal, or fewer than two that could be scored. Every A is 0.

    >>> is_dead(torch.tensor([1.0, 1.0, 0.0, 1.0, float("nan"), 1.0]), 2)
    tensor([ True, False,  True])
    """
    std = nan_std(grouped(rewards, num_generations))
    return std.isnan() | std.isclose(torch.zeros_like(std))


def frac_reward_zero_std(
    rewards: Float[Tensor, " B"], num_generations: int, *, scale_rewards: str = "group"
) -> Float[Tensor, ""]:
    """Return TRL's metric of that name: the share of groups whose rewards are all equal. Unit: fraction, 0 to 1.

    Under "batch" it looks at the std of the whole batch, so it is 0 or 1. A group with fewer than two scorable rewards
    has no std and is not counted here, though it is dead too: see `is_dead`.

    >>> frac_reward_zero_std(torch.tensor([1.0, 1.0, 0.0, 1.0]), 2)
    tensor(0.5000)
    """
    rewards_PG = grouped(rewards, num_generations)
    std = nan_std(rewards_PG.reshape(1, -1) if scale_rewards == "batch" else rewards_PG)
    return std.isclose(torch.zeros_like(std)).to(rewards.dtype).mean()
