"""Advantages: how much better a completion was than the others that answered the same prompt.

Rewards come as one row of B = P*G numbers, the G completions of a prompt side by side. A NaN reward means "not
scorable": it counts in no mean and no std, and its advantage is 0. All other rewards are finite. Whole numbers will do:
what is returned "in the rewards' dtype" is then in torch's default one.
"""

import torch
from jaxtyping import Bool, Float, Real
from torch import Tensor

SCALE_REWARDS = ("group", "batch", "none")
ROUNDING = 1e-12  # of the largest summand: far above what float64 leaves of a sum that is 0


def grouped(rewards: Real[Tensor, " B"], num_generations: int, *, at_least: int = 2) -> Float[Tensor, "P G"]:
    """Return the rewards as one row per prompt, in float64.

    Raises ValueError if a group has fewer than `at_least` completions (one has nothing to be compared with), or if B is
    no multiple of `num_generations`.

    >>> grouped(torch.tensor([1.0, 0.0, 0.5, 0.5]), 2)
    tensor([[1.0000, 0.0000],
            [0.5000, 0.5000]], dtype=torch.float64)
    """
    if num_generations < at_least:
        allowed = f"at least {at_least} completion" + ("s to compare" if at_least > 1 else "")
        raise ValueError(f"num_generations={num_generations}: a group needs {allowed}")
    if len(rewards) % num_generations:
        raise ValueError(f"{len(rewards)} rewards do not divide into groups of num_generations={num_generations}")
    return rewards.to(torch.float64).view(-1, num_generations)


def in_dtype_of(rewards: Real[Tensor, "*any"], values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return the values in the rewards' dtype, or in the default one where those are whole numbers.

    >>> in_dtype_of(torch.tensor([1, 0]), torch.tensor([0.5, -0.5], dtype=torch.float64))
    tensor([ 0.5000, -0.5000])
    """
    return values.to(rewards.dtype if rewards.is_floating_point() else torch.get_default_dtype())


def without_rounding(sums: Float[Tensor, "*shape"], largest: Float[Tensor, "*#shape"]) -> Float[Tensor, "*shape"]:
    r"""Return sums in float64 with exactly 0 for those that are only rounding: at most $10^{-12}$ of `largest`.

    `largest` is the size of the largest summand. What is 0 by the formula then has no sign, and pushes nothing.

    >>> sums = torch.tensor([0.1 + 0.2 - 0.3, 0.1 + 0.2 - 0.29], dtype=torch.float64)  # the first is 5.6e-17
    >>> without_rounding(sums, torch.tensor([0.3]))
    tensor([0.0000, 0.0100], dtype=torch.float64)
    """
    return torch.where(sums.abs() <= ROUNDING * largest, 0.0, sums)


def centred(values_PN: Float[Tensor, "P N"]) -> Float[Tensor, "P N"]:
    """Return each value minus the mean of its row; NaN stays NaN and counts in no mean.

    Counted from the least of the row, so that equal values give exactly 0 and not a rounding error, which a division
    by their std would blow up; and so does a value that is the mean, see `without_rounding`.

    >>> centred(torch.tensor([[0.1, 0.1, 0.1], [1.0, 3.0, float("nan")]]))
    tensor([[ 0.,  0.,  0.],
            [-1.,  1., nan]])
    """
    if values_PN.numel() == 0:
        return values_PN
    least = torch.where(values_PN.isnan(), torch.inf, values_PN).amin(dim=1, keepdim=True)
    above = values_PN - least
    largest = values_PN.abs().nan_to_num(nan=0.0).amax(dim=1, keepdim=True)
    return without_rounding(above - above.nanmean(dim=1, keepdim=True), largest)


def nan_std(values_PN: Float[Tensor, "P N"], ddof: int = 1) -> Float[Tensor, " P"]:
    r"""Return the standard deviation of each row, NaN left out: $\sqrt{\sum (x - \mu)^2 / (N - \text{ddof})}$.

    `ddof` 1 divides by N - 1 (Bessel), 0 by N. NaN where fewer than ddof + 1 values are left.

    >>> nan_std(torch.tensor([[1.0, 3.0, float("nan")], [1.0, float("nan"), float("nan")]]))
    tensor([1.4142,    nan])
    >>> nan_std(torch.tensor([[1.0, 3.0, float("nan")], [1.0, float("nan"), float("nan")]]), ddof=0)
    tensor([1., 0.])
    """
    divisor = (~values_PN.isnan()).sum(dim=1) - ddof
    return torch.where(divisor > 0, centred(values_PN).square().nansum(dim=1) / divisor, torch.nan).sqrt()


def is_zero(std: Float[Tensor, "*shape"]) -> Bool[Tensor, "*shape"]:
    """Return where a standard deviation is 0 but for rounding: at most 1e-8, as in TRL. A NaN is not.

    >>> is_zero(torch.tensor([0.0, 0.1, float("nan")]))
    tensor([ True, False, False])
    """
    return std.isclose(torch.zeros_like(std))


def z_scores(
    values_PN: Float[Tensor, "P N"], std_of: Float[Tensor, "R M"] | None = None, *, std_ddof: int, std_eps: float
) -> Float[Tensor, "P N"]:
    r"""Return $(x - \mu) / (\sigma + \varepsilon)$ row by row: each value in standard deviations of its row. No unit.

    `std_of` are values to take $\sigma$ of instead, as many rows or one row for all. 0 where the value or $\sigma$ is
    NaN, and without a stabiliser ($\varepsilon = 0$) where $\sigma$ is 0. Raises ValueError if `std_ddof` is neither 0
    nor 1, or `std_eps` is below 0.

    >>> z_scores(torch.tensor([[1.0, 3.0], [2.0, 2.0]]), std_ddof=0, std_eps=0.0)
    tensor([[-1.,  1.],
            [ 0.,  0.]])
    """
    if std_ddof not in (0, 1):
        raise ValueError(f"std_ddof={std_ddof} is neither 0 (divide by N) nor 1 (divide by N - 1)")
    if not std_eps >= 0:
        raise ValueError(f"std_eps={std_eps} is below 0, and it is added to a standard deviation")
    std = nan_std(values_PN if std_of is None else std_of, std_ddof)[:, None]
    divisor = torch.where(is_zero(std), torch.inf, std) if std_eps == 0 else std + std_eps
    return (centred(values_PN) / divisor).nan_to_num(nan=0.0)


def group_mean_std(
    rewards: Real[Tensor, " B"], num_generations: int
) -> tuple[Float[Tensor, " P"], Float[Tensor, " P"]]:
    """Return the mean and the standard deviation (dividing by G - 1) of each group. Unit: reward.

    NaN rewards are left out: the mean is NaN if none is left, the std if fewer than two are, and so for every group of
    one. Raises ValueError as `grouped` does for groups of none.

    >>> group_mean_std(torch.tensor([1.0, 3.0, 2.0, 2.0]), 2)
    (tensor([2., 2.]), tensor([1.4142, 0.0000]))
    """
    rewards_PG = grouped(rewards, num_generations, at_least=1)
    return in_dtype_of(rewards, rewards_PG.nanmean(dim=1)), in_dtype_of(rewards, nan_std(rewards_PG))


def group_advantages(
    rewards: Real[Tensor, " B"],
    num_generations: int,
    *,
    scale_rewards: str = "group",
    std_ddof: int = 1,
    std_eps: float = 1e-4,
) -> Float[Tensor, " B"]:
    r"""Return $A_i = (r_i - \mu_{\text{group}}) / (\sigma + \varepsilon)$, the z-score of each reward in its group.

    `scale_rewards` says which $\sigma$: "group" that of the group (no unit), "batch" that of all B rewards (no unit),
    "none" no division at all (unit: reward; Dr. GRPO). The mean is always the group's. $\sigma$ divides by N -
    `std_ddof`, and `std_eps` is $\varepsilon$: TRL has 1 and 1e-4, the formula of DeepSeekMath reads 0 and 0, others
    have 1e-6 or 1e-8. A NaN reward gets 0, and so does the only scorable reward of a group, and at $\varepsilon = 0$
    every reward where $\sigma$ is 0. Computed in float64, returned in the rewards' dtype.

    Raises ValueError if `scale_rewards` is none of the three, and as `grouped` and `z_scores` do.
    Source: DeepSeekMath, https://arxiv.org/abs/2402.03300; Dr. GRPO, https://arxiv.org/abs/2503.20783; as TRL 1.16.

    >>> group_advantages(torch.tensor([1.0, 0.0, 0.0, 1.0, 5.0, 5.0, 5.0, 5.0]), 4, scale_rewards="none")
    tensor([ 0.5000, -0.5000, -0.5000,  0.5000,  0.0000,  0.0000,  0.0000,  0.0000])
    >>> group_advantages(torch.tensor([1.0, 3.0]), 2)  # -1 and 1 over the square root of 2
    tensor([-0.7071,  0.7071])
    >>> group_advantages(torch.tensor([1.0, 3.0]), 2, std_ddof=0, std_eps=0.0)  # -1 and 1 over 1
    tensor([-1.,  1.])
    """
    check_scale_rewards(scale_rewards)
    rewards_PG = grouped(rewards, num_generations)
    if scale_rewards == "none":
        advantages_PG = centred(rewards_PG).nan_to_num(nan=0.0)
    else:
        std_of = rewards_PG if scale_rewards == "group" else rewards_PG.reshape(1, -1)
        advantages_PG = z_scores(rewards_PG, std_of, std_ddof=std_ddof, std_eps=std_eps)
    return in_dtype_of(rewards, advantages_PG.flatten())


def check_scale_rewards(scale_rewards: str) -> None:
    """Raise ValueError unless it is one of `SCALE_REWARDS`."""
    if scale_rewards not in SCALE_REWARDS:
        raise ValueError(f"scale_rewards={scale_rewards!r} is none of {', '.join(SCALE_REWARDS)}")


def is_dead(rewards: Real[Tensor, " B"], num_generations: int) -> Bool[Tensor, " P"]:
    """Return which groups have nothing to compare: rewards all equal, or fewer than two that could be scored.

    Where advantages are made of these rewards alone, every A is 0: but steps, each function by itself ("gdpo"), a KL in
    the reward or a critic may tell completions apart that have equal rewards. One completion is no group, and not dead:
    where `num_generations` is 1 it is not compared but imitated.

    >>> is_dead(torch.tensor([1.0, 1.0, 0.0, 1.0, float("nan"), 1.0]), 2)
    tensor([ True, False,  True])
    """
    std = nan_std(grouped(rewards, num_generations, at_least=1))
    return (std.isnan() | is_zero(std)) & (num_generations > 1)


def frac_reward_zero_std(
    rewards: Real[Tensor, " B"], num_generations: int, *, scale_rewards: str = "group"
) -> Float[Tensor, ""]:
    """Return TRL's metric of that name: the share of groups whose rewards are all equal. Unit: fraction, 0 to 1.

    Under "batch" it looks at the std of the whole batch, so it is 0 or 1. A group with fewer than two scorable rewards
    has no std and is not counted here, though it is dead too: see `is_dead`. Raises ValueError as `group_advantages`
    does.

    >>> frac_reward_zero_std(torch.tensor([1.0, 1.0, 0.0, 1.0]), 2)
    tensor(0.5000)
    """
    check_scale_rewards(scale_rewards)
    rewards_PG = grouped(rewards, num_generations)
    std = nan_std(rewards_PG.reshape(1, -1) if scale_rewards == "batch" else rewards_PG)
    return in_dtype_of(rewards, is_zero(std).double().mean())
