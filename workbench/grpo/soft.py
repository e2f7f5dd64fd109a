r"""Surrogates without a cut: what CISPO, SAPO and VESPO put in the place of PPO's clip. To be raised, like it.

CISPO and VESPO are $g A \log \pi$ with a weight $g$ that has no gradient; SAPO is $f(r) A$ with a smooth $f$.
"""

from math import log

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.grpo.padding import Mask, zero_padding
from workbench.grpo.surrogate import per_token

Advantages = Float[Tensor, " B"] | Float[Tensor, "B T"]
LONGEST_LOG_RATIO = 20.0  # nats; e^20 is a ratio of half a billion
SMALLEST_SEQUENCE_RATIO = 1e-8


def cispo_weight(ratio: Float[Tensor, "B T"], epsilon_high: float) -> Float[Tensor, "B T"]:
    r"""Return $\min(r, \epsilon_{\text{high}})$, what CISPO weighs $A \log \pi$ with. No gradient, no unit.

    `epsilon_high` is the cap itself, not its distance from 1: 5 is usual, and 0.2 cuts an on-policy step to a fifth.
    A capped token keeps learning, with the cap as its weight.
    Source: MiniMax-M1, https://arxiv.org/abs/2506.13585; ScaleRL (5), https://arxiv.org/abs/2510.13786; as TRL 1.16.

    >>> cispo_weight(torch.tensor([[0.5, 1.0, 7.0]]), epsilon_high=5.0)
    tensor([[0.5000, 1.0000, 5.0000]])
    """
    return ratio.detach().clamp(max=epsilon_high)


def sapo_temperatures(
    advantages: Float[Tensor, "B _"], temperature_pos: float = 1.0, temperature_neg: float = 1.05
) -> Float[Tensor, "B _"]:
    r"""Return $\tau$ by the sign of A: `temperature_pos` for A > 0, else `temperature_neg`.

    >>> sapo_temperatures(torch.tensor([[2.0, 0.0, -2.0]]), 1.0, 1.5)
    tensor([[1.0000, 1.5000, 1.5000]])
    """
    positive = torch.full_like(advantages, temperature_pos)
    return torch.where(advantages > 0, positive, torch.full_like(advantages, temperature_neg))


def sapo_surrogate(
    ratio: Float[Tensor, "B T"],
    advantages: Advantages,
    temperature_pos: float = 1.0,
    temperature_neg: float = 1.05,
) -> Float[Tensor, "B T"]:
    r"""Return $\tfrac4\tau\, \sigma(\tau (r - 1))\, A$: a soft gate that is steepest, with slope A, at r = 1.

    A higher $\tau$ fades faster; that of A <= 0 is the higher one by default. The value on-policy is
    $2 A / \tau$, which only the slope at 1 makes sense of. Unit: that of A.
    Source: SAPO, https://arxiv.org/abs/2511.20347; as TRL 1.16.

    >>> sapo_surrogate(torch.tensor([[1.0]]), torch.tensor([3.0]))
    tensor([[6.]])
    """
    advantages = per_token(advantages)
    temperatures = sapo_temperatures(advantages, temperature_pos, temperature_neg)
    return (temperatures * (ratio - 1)).sigmoid() * 4 / temperatures * advantages


def sapo_gain(
    ratio: Float[Tensor, "B T"],
    advantages: Advantages,
    temperature_pos: float = 1.0,
    temperature_neg: float = 1.05,
) -> Float[Tensor, "B T"]:
    r"""Return SAPO's slope on $\log r$, divided by A: $4\, r\, g (1 - g)$ with $g = \sigma(\tau(r - 1))$.

    >>> sapo_gain(torch.tensor([[1.0]]), torch.tensor([3.0]))
    tensor([[1.]])
    """
    temperatures = sapo_temperatures(per_token(advantages), temperature_pos, temperature_neg)
    scaled = temperatures * (ratio.detach() - 1)
    return 4 * ratio.detach() * scaled.sigmoid() * (-scaled).sigmoid()  # 1 - sigmoid(x), without the cancellation


def vespo_phi(
    logps: Float[Tensor, "B T"],
    old_logps: Float[Tensor, "B T"],
    advantages: Advantages,
    mask: Mask,
    *,
    k_pos: float = 2.0,
    lambda_pos: float = 3.0,
    k_neg: float = 3.0,
    lambda_neg: float = 2.0,
) -> Float[Tensor, "..."]:
    r"""Return $\phi(s) = s^k e^{\lambda (1 - s)}$, what VESPO weighs $A \log \pi$ with: 1 at s = 1.

    No gradient, no unit. $s = \exp \sum_t \log r_t$ is the ratio of the whole completion, not its geometric mean: it
    runs away with the length, and $\phi$ takes the completion out when it does. $(k, \lambda)$ are those of A >= 0 or
    of A < 0, so the result has the shape of the advantages. As in TRL 1.16, each $\log r_t$ is held within 20 nats,
    s within 1e-8 and e^20, $\lambda$ above 1e-4, and a $\phi$ that is not finite is 0.
    Source: VESPO, https://arxiv.org/abs/2602.10693

    >>> logps, old_logps, mask = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.25, 0.5]]).log(), torch.ones(1, 2)
    >>> vespo_phi(logps, old_logps, torch.tensor([1.0]), mask)  # s = 2: 4 e^-3
    tensor([0.1991])
    """
    log_ratio = zero_padding(logps.detach(), mask) - zero_padding(old_logps.detach(), mask)
    log_s = log_ratio.clamp(-LONGEST_LOG_RATIO, LONGEST_LOG_RATIO).sum(dim=1)
    log_s = log_s.clamp(log(SMALLEST_SEQUENCE_RATIO), LONGEST_LOG_RATIO)
    if advantages.dim() == 2:
        log_s = log_s[:, None].expand_as(advantages)
    is_good = advantages >= 0
    k = torch.where(is_good, torch.full_like(log_s, k_pos), torch.full_like(log_s, k_neg))
    decay = torch.where(is_good, torch.full_like(log_s, lambda_pos), torch.full_like(log_s, lambda_neg)).clamp(min=1e-4)
    return (decay + k * log_s - decay * log_s.exp()).exp().nan_to_num(nan=0.0, posinf=0.0)
