"""Preferences: pairs taken from the groups, and DPO's loss on them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.grpo.advantages import grouped, is_dead
from workbench.grpo.padding import Mask, as_numbers, zero_padding
from workbench.grpo.ranking import bradley_terry_loss


@dataclass(frozen=True)
class DpoTerms:
    """A loss and its parts. Only `loss` carries a gradient."""

    loss: Float[Tensor, ""]  # nats
    margins: Float[Tensor, " N"]  # of each pair, as the sigmoid sees them: beta times the difference of log-ratios
    coefficients: Float[Tensor, "B T"]  # minus the slope of the loss by each log-probability; 0 for rows of no pair


def preference_pairs(totals: Float[Tensor, " B"], num_generations: int) -> Int[Tensor, "N 2"]:
    """Return the rows of the best and of the worst completion of every group whose rewards differ.

    NaN rewards are left out; of equals the first is taken. A group that `is_dead` makes no pair. Raises ValueError as
    `grouped` does.

    >>> preference_pairs(torch.tensor([0.0, 1.0, 1.0, 2.0, 2.0, 2.0]), 3)
    tensor([[1, 0]])
    """
    rewards_PG = grouped(totals, num_generations)
    best = torch.where(rewards_PG.isnan(), -torch.inf, rewards_PG).argmax(dim=1)
    worst = torch.where(rewards_PG.isnan(), torch.inf, rewards_PG).argmin(dim=1)
    first_rows = torch.arange(len(rewards_PG), device=totals.device) * num_generations
    pairs = torch.stack([first_rows + best, first_rows + worst], dim=1)
    return pairs[~is_dead(totals, num_generations)]


def dpo_loss(
    logps: Float[Tensor, "B T"],
    ref_logps: Float[Tensor, "B T"],
    mask: Mask,
    pairs: Int[Tensor, "N 2"],
    beta: float,
    *,
    num_pairs_of_batch: int | None = None,
) -> DpoTerms:
    r"""Return $-\tfrac1N \sum \log \sigma(m)$ over the pairs (w, l), and its parts.

    The margin is $m = \beta\,(\log\tfrac{p_w}{q_w} - \log\tfrac{p_l}{q_l})$. p and q are what policy and reference give
    to a whole completion: sums over its tokens, not means, so a token of a long completion is pushed as hard as one of
    a short. It is Bradley and Terry's model of which of two wins, with $\beta \log (p / q)$ as the reward. The
    coefficient of each token is $\tfrac{\beta}{N} \sigma(-m)$ in w and minus that in l: the clearer the policy already
    tells the pair apart, the less it is pushed.

    With `num_pairs_of_batch`, N of the whole batch, micro-batches of whole pairs add up to it exactly. Without a pair
    the loss is 0. Raises ValueError if beta is not above 0, for then no pair is told apart.
    Source: DPO, https://arxiv.org/abs/2305.18290; value and gradient as TRL 1.16's loss_type="sigmoid".

    >>> logps, ref_logps = torch.tensor([[-1.0], [-2.0]]), torch.tensor([[-2.0], [-2.0]])
    >>> terms = dpo_loss(logps, ref_logps, torch.ones(2, 1), torch.tensor([[0, 1]]), beta=0.5)
    >>> terms.margins, terms.loss, terms.coefficients  # sigmoid(-0.5) is 0.3775
    (tensor([0.5000]), tensor(0.4741), tensor([[ 0.1888],
            [-0.1888]]))
    """
    if not beta > 0:
        raise ValueError(f"beta={beta} is not above 0, and it weighs the margins of the pairs")
    pairs = pairs.to(logps.device)
    implicit_rewards = beta * (zero_padding(logps, mask) - zero_padding(ref_logps.detach(), mask)).sum(dim=1)
    chosen, rejected = implicit_rewards[pairs[:, 0]], implicit_rewards[pairs[:, 1]]
    num_pairs = max(len(pairs) if num_pairs_of_batch is None else num_pairs_of_batch, 1)
    margins = (chosen - rejected).detach()
    push = beta * torch.sigmoid(-margins) / num_pairs
    none = torch.zeros_like(implicit_rewards.detach())
    row_pushes = none.index_add(0, pairs[:, 0], push).index_add(0, pairs[:, 1], -push)
    return DpoTerms(
        loss=bradley_terry_loss(chosen, rejected).sum() / num_pairs,
        margins=margins,
        coefficients=row_pushes[:, None] * as_numbers(mask),
    )
