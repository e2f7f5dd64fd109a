"""Other ways from rewards to advantages, and the one call that makes any of them from each function's rewards.

All take the G completions of a prompt side by side, compute in float64 and return the rewards' dtype. A NaN reward
("not scorable") enters no baseline and no std, and gets 0.

| estimator | advantage | sums to 0 over | if all rewards double |
|---|---|---|---|
| grpo | reward minus the group's mean, over a std | the group | it stays (`scale_rewards` "none": doubles) |
| rloo | reward minus the mean of the others | the group | it doubles |
| reinforce_plus_plus | reward minus the group's mean, over their std in the batch | the group | it stays |
| gdpo | z-score of each function's reward, summed, normalised over the batch | the batch | it stays |
| pass_at_k | what it adds to the best of k | nothing: never below 0 if k > 1 | it doubles |
| rank | share of the others it beats minus the share that beats it | the group | it stays |

In all of them, adding the same to every reward of a group changes nothing. "It stays" is exact at `std_eps` = 0.
"""

from math import comb

import torch
from jaxtyping import Float, Real
from torch import Tensor

from workbench.grpo.advantages import centred, group_advantages, grouped, in_dtype_of, without_rounding, z_scores

ADVANTAGE_ESTIMATORS = ("grpo", "rloo", "reinforce_plus_plus", "gdpo", "pass_at_k", "rank")


def rloo_advantages(rewards: Real[Tensor, " B"], num_generations: int) -> Float[Tensor, " B"]:
    r"""Return $A_i = r_i - \tfrac{1}{n-1} \sum_{j \ne i} r_j$, the reward minus the mean of the group's others.

    n counts the scorable rewards of the group; where it is 1, A is 0. Equal to $\tfrac{n}{n-1}$ times the reward minus
    the group's mean. Its policy gradient is unbiased. Unit: reward. Raises ValueError as `grouped` does.
    Source: Back to Basics, https://arxiv.org/abs/2402.14740; as TRL 1.16's RLOOTrainer without its normalisation.

    >>> rloo_advantages(torch.tensor([3.0, 1.0, 2.0]), 3)
    tensor([ 1.5000, -1.5000,  0.0000])
    """
    centred_PG = centred(grouped(rewards, num_generations))
    num_scorable = (~centred_PG.isnan()).sum(dim=1, keepdim=True)
    advantages_PG = centred_PG * num_scorable / (num_scorable - 1)
    return in_dtype_of(rewards, advantages_PG.nan_to_num(nan=0.0).flatten())


def reinforce_plus_plus_advantages(
    rewards: Real[Tensor, " B"], num_generations: int, *, std_ddof: int = 1, std_eps: float = 1e-4
) -> Float[Tensor, " B"]:
    r"""Return $A_i = (d_i - \mu_{\text{batch}}(d)) / (\sigma_{\text{batch}}(d) + \varepsilon)$.

    REINFORCE++-baseline: $d_i = r_i - \mu_{\text{group}}$. Mean and std of d are over the scorable completions of the
    batch, each counted once (trainers that normalise by token count a completion once for each of its tokens); the std
    divides by N - `std_ddof`. No unit. Raises ValueError as `grouped` and `z_scores` do.
    Source: REINFORCE++, https://arxiv.org/abs/2501.03262

    >>> rewards = torch.tensor([1.0, 3.0, 2.0, 2.0])  # d is -1, 1, 0, 0, and its variance 2 / 4
    >>> reinforce_plus_plus_advantages(rewards, 2, std_ddof=0, std_eps=0.0)
    tensor([-1.4142,  1.4142,  0.0000,  0.0000])
    """
    differences_1B = centred(grouped(rewards, num_generations)).reshape(1, -1)
    return in_dtype_of(rewards, z_scores(differences_1B, std_ddof=std_ddof, std_eps=std_eps).flatten())


def weighted_rewards(rewards_BF: Real[Tensor, "B F"], weights_F: Real[Tensor, " F"]) -> Float[Tensor, " B"]:
    r"""Return each completion's reward, $\sum_f w_f r_f$, in float64. A NaN adds nothing; where all are NaN it is NaN.

    Raises ValueError unless there is one weight per function.

    >>> nan = float("nan")
    >>> weighted_rewards(torch.tensor([[1.0, 2.0], [nan, 2.0], [nan, nan]]), torch.tensor([1.0, 0.5]))
    tensor([2., 1., nan], dtype=torch.float64)
    """
    if weights_F.shape != rewards_BF.shape[1:]:
        raise ValueError(f"there are {weights_F.numel()} weights for {rewards_BF.shape[1]} reward functions")
    weighted_BF = rewards_BF.to(torch.float64) * weights_F.to(rewards_BF.device, torch.float64)
    totals = without_rounding(weighted_BF.nansum(dim=1), weighted_BF.abs().nansum(dim=1))
    return torch.where(rewards_BF.isnan().all(dim=1), torch.nan, totals)


def summed_z_scores(
    rewards_BF: Real[Tensor, "B F"],
    weights_F: Real[Tensor, " F"],
    num_generations: int,
    *,
    std_ddof: int = 1,
    std_eps: float = 1e-4,
) -> Float[Tensor, " B"]:
    r"""Return $\sum_f w_f z_f$ in float64, $z_f$ being the group's z-score of function f's reward: GDPO's sums.

    NaN where no function could score the completion. Raises ValueError as `grouped` and `z_scores` do.

    >>> rewards = torch.tensor([[0.0, 100.0], [1.0, 100.0], [0.0, 0.0], [1.0, 100.0]])  # z: -1 0, 1 0, -1 -1, 1 1
    >>> summed_z_scores(rewards, torch.tensor([1.0, 1.0]), 2, std_ddof=0, std_eps=0.0)
    tensor([-1.,  1., -2.,  2.], dtype=torch.float64)
    """
    scores_BF = [
        z_scores(grouped(column, num_generations), std_ddof=std_ddof, std_eps=std_eps).flatten()
        for column in rewards_BF.unbind(dim=1)
    ]
    return weighted_rewards(torch.where(rewards_BF.isnan(), torch.nan, torch.stack(scores_BF, dim=1)), weights_F)


def gdpo_advantages(
    rewards_BF: Real[Tensor, "B F"],
    weights_F: Real[Tensor, " F"],
    num_generations: int,
    *,
    std_ddof: int = 1,
    std_eps: float = 1e-4,
) -> Float[Tensor, " B"]:
    r"""Return the batch's z-scores of $\sum_f w_f z_f$, $z_f$ being the group's z-score of function f's reward.

    Each function is normalised by itself before they are summed, so one with a large spread cannot drown the others.
    The second normalisation is over the completions of the batch that any function could score; both divide by
    N - `std_ddof` and add `std_eps`. No unit. Raises ValueError as `grouped` and `z_scores` do.
    Source: GDPO, https://arxiv.org/abs/2601.05242; as TRL 1.16's multi_objective_aggregation="normalize_then_sum".

    >>> rewards = torch.tensor([[0.0, 100.0], [1.0, 100.0], [0.0, 0.0], [1.0, 100.0]])  # z: -1 0, 1 0, -1 -1, 1 1
    >>> gdpo_advantages(rewards, torch.tensor([1.0, 1.0]), 2, std_ddof=0, std_eps=0.0)  # -1, 1, -2, 2 over sqrt(2.5)
    tensor([-0.6325,  0.6325, -1.2649,  1.2649])
    """
    sums = summed_z_scores(rewards_BF, weights_F, num_generations, std_ddof=std_ddof, std_eps=std_eps)
    return in_dtype_of(rewards_BF, z_scores(sums[None], std_ddof=std_ddof, std_eps=std_eps).flatten())


def added_to_best(rewards_N: Float[Tensor, " N"], k: int) -> Float[Tensor, " N"]:
    r"""Return the mean of $\max S - \max S \setminus i$ over the k-subsets S with i in them, for each reward i.

    In ascending order, $A_j = \sum_{m<j} (r_j - r_m) \binom{m}{k-2} / \binom{N-1}{k-1}$ with m counted from 0, for
    $\binom{m}{k-2}$ of the sets of k - 1 others have $r_m$ as their best. Needs 2 <= k <= N.

    >>> added_to_best(torch.tensor([5.0, 1.0, 2.0]), 2)  # 5 beats 1 by 4 and 2 by 3; 2 beats 1 by 1
    tensor([3.5000, 0.0000, 0.5000])
    """
    size = len(rewards_N)
    ascending, order = rewards_N.sort()
    shares = [comb(m, k - 2) / comb(size - 1, k - 1) for m in range(size)]
    gaps = without_rounding((ascending[:, None] - ascending[None, :]).tril(), ascending.abs().amax())
    return torch.zeros_like(rewards_N).scatter(0, order, gaps @ gaps.new_tensor(shares))


def pass_at_k_advantages(rewards: Real[Tensor, " B"], num_generations: int, k: int) -> Float[Tensor, " B"]:
    r"""Return what each completion adds to the best of k of its group.

    $A_i$ is the mean over the k-subsets S of the group with i in them of $\max S - \max S \setminus i$. k times the
    policy gradient $\tfrac1G \sum_i A_i \nabla \log p_i$ is an unbiased estimate of the gradient of E[best reward of k
    samples], which is pass@k for rewards 0 and 1. Never negative: nothing is pushed down. At k = G only the best gets
    any, by how much it beats the second. At k = 1 there is no best of the others, and the baseline is their mean:
    `rloo_advantages`. A group with fewer than k scorable rewards is taken whole, a group with one gets 0. Unit: reward.

    Raises ValueError if k is below 1 or above G, and as `grouped` does.
    Source: PKPO (leave-one-out), https://arxiv.org/abs/2505.15201; k = G: https://arxiv.org/abs/2503.19595

    >>> pass_at_k_advantages(torch.tensor([5.0, 1.0, 2.0]), 3, k=2)
    tensor([3.5000, 0.0000, 0.5000])
    >>> pass_at_k_advantages(torch.tensor([5.0, 1.0, 2.0]), 3, k=3)
    tensor([3., 0., 0.])
    """
    rewards_PG = grouped(rewards, num_generations)
    if not 1 <= k <= num_generations:
        raise ValueError(f"k={k} is outside [1, {num_generations}]: that many are chosen from a group")
    if k == 1:
        return rloo_advantages(rewards, num_generations)
    advantages_PG = torch.zeros_like(rewards_PG)
    for rewards_G, advantages_G in zip(rewards_PG, advantages_PG, strict=True):
        scorable = ~rewards_G.isnan()
        if scorable.sum() > 1:
            advantages_G[scorable] = added_to_best(rewards_G[scorable], min(k, int(scorable.sum())))
    return in_dtype_of(rewards, advantages_PG.flatten())


def rank_advantages(rewards: Real[Tensor, " B"], num_generations: int) -> Float[Tensor, " B"]:
    r"""Return each completion's rank in its group, from -1 (worst) to 1 (best): $A_i = (2 \rho_i - n - 1) / (n - 1)$.

    $\rho$ counts from 1 among the n scorable rewards, and equals share the mean of their ranks. So A is the share of
    the others that i beats minus the share that beats it. Only the order counts: no outlier and no unit of the reward
    can be seen. Two rewards closer than 1e-8 plus a millionth of the larger are equal, or the rounding of a sum would
    be ranked. Where n is 1, A is 0. Raises ValueError as `grouped` does.
    Source of ranks in place of rewards: https://arxiv.org/abs/1106.4487 (there with other values for the ranks)

    >>> rank_advantages(torch.tensor([0.0, 900.0, 1.0, 1.0, 0.5]), 5)
    tensor([-1.0000,  1.0000,  0.2500,  0.2500, -0.5000])
    """
    rewards_PG = grouped(rewards, num_generations)
    gaps_PGG = (rewards_PG[:, :, None] - rewards_PG[:, None, :]).nan_to_num(nan=0.0)
    sizes_PG = rewards_PG.abs().nan_to_num(nan=0.0)
    larger_PGG = torch.maximum(sizes_PG[:, :, None], sizes_PG[:, None, :])
    wins_PG = torch.where(gaps_PGG.abs() > 1e-8 + 1e-6 * larger_PGG, gaps_PGG.sign(), 0.0).sum(dim=2)
    num_others = (~rewards_PG.isnan()).sum(dim=1, keepdim=True) - 1
    return in_dtype_of(rewards, (wins_PG / num_others.clamp(min=1)).flatten())


def estimate_advantages(
    rewards_BF: Real[Tensor, "B F"],
    weights_F: Real[Tensor, " F"],
    num_generations: int,
    *,
    advantage_estimator: str = "grpo",
    scale_rewards: str = "group",
    std_ddof: int = 1,
    std_eps: float = 1e-4,
    pass_k: int = 4,
    penalty: Float[Tensor, " B"] | None = None,
) -> Float[Tensor, " B"]:
    r"""Return the advantages, by the estimator's name, of $\sum_f w_f r_f$ minus the penalty (a KL in the reward).

    NaN means that a function could not score a completion and adds nothing; where none could, the completion enters no
    baseline and gets 0. `scale_rewards` is read by "grpo" alone, `pass_k` by "pass_at_k" alone, and `std_ddof` and
    `std_eps` by those that divide by a std.

    Raises ValueError if there is no such estimator, if "gdpo" is given a penalty (it normalises each function by itself
    and has no reward to take it off), and as the estimators do.

    >>> rewards, weights = torch.tensor([[1.0, 1.0], [0.0, 1.0]]), torch.tensor([1.0, 0.5])
    >>> estimate_advantages(rewards, weights, 2, advantage_estimator="rloo")  # of 1.5 and 0.5
    tensor([ 1., -1.])
    >>> estimate_advantages(rewards, weights, 2, advantage_estimator="rloo", penalty=torch.tensor([0.75, 0.0]))
    tensor([ 0.2500, -0.2500])
    """
    if advantage_estimator not in ADVANTAGE_ESTIMATORS:
        raise ValueError(f"advantage_estimator={advantage_estimator!r} is none of {', '.join(ADVANTAGE_ESTIMATORS)}")
    std = {"std_ddof": std_ddof, "std_eps": std_eps}
    if advantage_estimator == "gdpo":
        if penalty is not None:
            raise ValueError(
                "advantage_estimator='gdpo' normalises each reward function by itself: it takes no penalty"
            )
        return gdpo_advantages(rewards_BF, weights_F, num_generations, **std)
    totals = weighted_rewards(rewards_BF, weights_F)
    if penalty is not None:
        totals = totals - penalty.to(totals)
    match advantage_estimator:
        case "grpo":
            advantages = group_advantages(totals, num_generations, scale_rewards=scale_rewards, **std)
        case "rloo":
            advantages = rloo_advantages(totals, num_generations)
        case "reinforce_plus_plus":
            advantages = reinforce_plus_plus_advantages(totals, num_generations, **std)
        case "pass_at_k":
            advantages = pass_at_k_advantages(totals, num_generations, pass_k)
        case _:
            advantages = rank_advantages(totals, num_generations)
    return in_dtype_of(rewards_BF, advantages)
