"""PPO's side of the comparison: a critic's values, generalised advantage estimation, and the critic's loss.

A row's tokens are those where its mask is not 0; "the next token" skips what lies between them.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.grpo.advantages import without_rounding
from workbench.grpo.padding import Mask, as_numbers, num_tokens, zero_padding


def terminal_rewards(totals: Float[Tensor, " B"], mask: Mask) -> Float[Tensor, "B T"]:
    """Return each completion's reward at its last token and 0 before it. A NaN reward is 0, a row without tokens too.

    >>> terminal_rewards(torch.tensor([2.0, float("nan")]), torch.tensor([[1, 1, 0], [1, 1, 1]]))
    tensor([[0., 2., 0.],
            [0., 0., 0.]])
    """
    present = mask.bool()
    is_last = present & (present.flip(1).cumsum(dim=1).flip(1) == 1)
    return torch.where(is_last, totals.to(mask.device).nan_to_num(nan=0.0)[:, None], 0.0)


def generalised_advantages(
    rewards: Float[Tensor, "B T"],
    values: Float[Tensor, "B T"],
    mask: Mask,
    *,
    gamma: float = 1.0,
    gae_lambda: float = 0.95,
) -> tuple[Float[Tensor, "B T"], Float[Tensor, "B T"]]:
    r"""Return $A_t = \sum_l (\gamma\lambda)^l \delta_{t+l}$ and the returns $A_t + V_t$, the critic's targets.

    $\delta_t = r_t + \gamma V_{t+1} - V_t$, V being 0 after the last token. `values[:, t]` is what the critic expects
    *before* token t is written, of the rewards from t on. At $\lambda = 1$ A is the discounted return minus V, at 0
    it is $\delta$. Unit: reward. 0 on padding. No gradient.
    Source: GAE, https://arxiv.org/abs/1506.02438

    >>> rewards, values = torch.tensor([[0.0, 1.0]]), torch.tensor([[0.5, 0.75]])
    >>> generalised_advantages(rewards, values, torch.tensor([[1, 1]]), gae_lambda=0.5)  # delta: 0.25 and 0.25
    (tensor([[0.3750, 0.2500]]), tensor([[0.8750, 1.0000]]))
    """
    rewards, values = zero_padding(rewards.detach(), mask), zero_padding(values.detach(), mask)
    present = mask.bool()
    advantages = torch.zeros_like(values)
    next_advantage, next_value = values.new_zeros(len(values)), values.new_zeros(len(values))
    for t in reversed(range(values.shape[1])):
        here = present[:, t]
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        next_advantage = torch.where(here, delta + gamma * gae_lambda * next_advantage, next_advantage)
        next_value = torch.where(here, values[:, t], next_value)
        advantages[:, t] = torch.where(here, next_advantage, 0.0)
    return advantages, advantages + values


def whiten(values: Float[Tensor, "B T"], mask: Mask) -> Float[Tensor, "B T"]:
    r"""Return $(x - \mu) / \sqrt{\sigma^2 + 10^{-8}}$ over all tokens of the mask; 0 on padding. No unit.

    $\sigma^2$ divides by N - 1. Fewer than two tokens, or equal values, give zeros. In float64, returned in the dtype
    of the values. For PPO's advantages, which it makes independent of the scale of the reward.
    Source: PPO for language models, as in https://arxiv.org/abs/2403.17031

    >>> whiten(torch.tensor([[1.0, 3.0, 9.0]]), torch.tensor([[1, 1, 0]]))
    tensor([[-0.7071,  0.7071,  0.0000]])
    """
    numbers = zero_padding(values, mask).to(torch.float64)
    count = as_numbers(mask).sum()
    differences = without_rounding(numbers - numbers.sum() / count.clamp(min=1.0), numbers.abs().amax())
    centred = zero_padding(differences, mask)
    variance = centred.square().sum() / (count - 1).clamp(min=1.0)
    return (centred / (variance + 1e-8).sqrt()).to(values.dtype)


def value_loss(
    values: Float[Tensor, "B T"],
    old_values: Float[Tensor, "B T"],
    returns: Float[Tensor, "B T"],
    mask: Mask,
    cliprange_value: float = 0.2,
    *,
    num_tokens_of_batch: Float[Tensor, ""] | float | None = None,
) -> Float[Tensor, ""]:
    r"""Return the critic's loss: the mean over tokens of $\tfrac12 \max((V - R)^2, (V_c - R)^2)$.

    $V_c$ is V, but at most $c$ away from the old value; $c$ is `cliprange_value`, in the unit of the reward: a value
    that has moved further than that towards its return learns no more from this batch. The gradient flows through
    `values` alone. Unit: reward squared. With `num_tokens_of_batch`, the tokens of the whole batch, micro-batches add
    up to it exactly; without, it is the mean of the rows given. Raises ValueError if `cliprange_value` is below 0.
    Source: PPO's public code, as described in https://arxiv.org/abs/2005.12729

    >>> values, old_values, returns = torch.tensor([[1.0, 0.5]]), torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0, 0.0]])
    >>> value_loss(values, old_values, returns, torch.tensor([[1, 1]]))  # (1.8^2 + 0.5^2) / 2 / 2
    tensor(0.8725)
    """
    if not cliprange_value >= 0:
        raise ValueError(f"cliprange_value={cliprange_value} is below 0, and it is a distance")
    values = zero_padding(values, mask)
    old_values, returns = zero_padding(old_values.detach(), mask), zero_padding(returns.detach(), mask)
    near = old_values + (values - old_values).clamp(-cliprange_value, cliprange_value)
    errors = torch.maximum((values - returns).square(), (near - returns).square())
    total = num_tokens(mask.reshape(1, -1)).squeeze() if num_tokens_of_batch is None else num_tokens_of_batch
    return errors.sum() / (2 * total)
