"""Which tokens the clip touched. Leaving the band is one thing, losing the gradient another, TRL's metric a third."""

from math import inf

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from workbench.grpo.surrogate import band, per_token
from workbench.grpo.weights import check_is_clipped

Advantages = Float[Tensor, " B"] | Float[Tensor, "B T"]


def outside_band(
    ratio: Float[Tensor, "B T"], epsilon: float = 0.2, epsilon_high: float | None = None
) -> Bool[Tensor, "B T"]:
    r"""Return which ratios left $[1 - \epsilon, 1 + \epsilon_{\text{high}}]$, whatever A is. The ends are inside.

    >>> outside_band(torch.tensor([[0.7, 1.0, 1.3]]))
    tensor([[ True, False,  True]])
    """
    low, high = band(epsilon, epsilon_high)
    return (ratio < low) | (ratio > high)


def clipped(
    ratio: Float[Tensor, "B T"],
    advantages: Advantages,
    epsilon: float = 0.2,
    epsilon_high: float | None = None,
    delta: float | None = None,
) -> Bool[Tensor, "B T"]:
    r"""Return the tokens whose surrogate the clip (or `delta`) made flat: it alone made their gradient 0.

    A > 0: $r > \min(1 + \epsilon_{\text{high}}, \delta)$, already raised enough. A < 0: $r < 1 - \epsilon$, already
    lowered enough, or $r > \max(1 + \epsilon_{\text{high}}, \delta)$ if there is a delta. The other two corners
    outside the band still learn: a step there leads back. A token of A = 0 has no gradient to lose, so it is never
    clipped. At level "sequence" a completion is clipped as a whole.

    Source: PPO, https://arxiv.org/abs/1707.06347; the tests hold it equal to autograd's zeros.

    >>> ratio = torch.tensor([[0.7, 1.0, 1.3], [0.7, 1.0, 1.3], [0.7, 1.0, 1.3]])
    >>> clipped(ratio, torch.tensor([1.0, -1.0, 0.0]))
    tensor([[False, False,  True],
            [ True, False, False],
            [False, False, False]])
    """
    low, high = band(epsilon, epsilon_high)
    advantages = per_token(advantages)
    raised_enough = ratio > (high if delta is None else min(high, delta))
    lowered_enough = (ratio < low) | (ratio > (inf if delta is None else max(high, delta)))
    return torch.where(advantages > 0, raised_enough, (advantages < 0) & lowered_enough)


def clip_low(
    ratio: Float[Tensor, "B T"], advantages: Advantages, epsilon: float = 0.2, delta: float | None = None
) -> Bool[Tensor, "B T"]:
    r"""Return the tokens of TRL's metric `clip_ratio/low`: $\min(r, \delta) < 1 - \epsilon$ and A < 0.

    The metric does not see what `delta` cuts at A < 0 above the band; `clipped` does. As TRL 1.16.

    >>> clip_low(torch.tensor([[0.7, 1.3]]), torch.tensor([-1.0]))
    tensor([[ True, False]])
    """
    return (ratio.clamp(max=inf if delta is None else delta) < 1 - epsilon) & (per_token(advantages) < 0)


def clip_high(
    ratio: Float[Tensor, "B T"], advantages: Advantages, epsilon_high: float = 0.2, delta: float | None = None
) -> Bool[Tensor, "B T"]:
    r"""Return the tokens of TRL's metric `clip_ratio/high`: $\min(r, \delta) > 1 + \epsilon_{\text{high}}$ and A > 0.

    With `delta` at or below 1 + epsilon_high the metric reads 0, though `delta` cuts gradients; `clipped` sees them.
    As TRL 1.16.

    >>> clip_high(torch.tensor([[0.7, 1.3]]), torch.tensor([1.0]))
    tensor([[False,  True]])
    """
    return (ratio.clamp(max=inf if delta is None else delta) > 1 + epsilon_high) & (per_token(advantages) > 0)


def cispo_clip(ratio: Float[Tensor, "B T"], advantages: Advantages, epsilon_high: float) -> Bool[Tensor, "B T"]:
    r"""Return the tokens of TRL's metric `cispo_clip_ratio`: $r > \epsilon_{\text{high}}$ and A > 0.

    Their weight is capped at `epsilon_high`, an absolute ratio; their gradient is not cut. The cap holds for A < 0 too,
    which the metric does not count. As TRL 1.16.

    >>> cispo_clip(torch.tensor([[4.0, 6.0]]), torch.tensor([1.0]), epsilon_high=5.0)
    tensor([[False,  True]])
    """
    return (ratio > epsilon_high) & (per_token(advantages) > 0)


def clip_flags(
    loss_type: str,
    ratio: Float[Tensor, "B T"],
    advantages: Advantages,
    *,
    epsilon: float = 0.2,
    epsilon_high: float | None = None,
    delta: float | None = None,
) -> tuple[Bool[Tensor, "B T"], Bool[Tensor, "B T"]]:
    """Return `clip_low` and `clip_high`, the tokens of TRL's `clip_ratio/*`. Raises ValueError where TRL logs none.

    >>> low, high = clip_flags("dapo", torch.tensor([[0.7, 1.3]]), torch.tensor([1.0]))
    >>> low, high
    (tensor([[False, False]]), tensor([[False,  True]]))
    """
    check_is_clipped(loss_type)
    high = epsilon if epsilon_high is None else epsilon_high
    return clip_low(ratio, advantages, epsilon, delta), clip_high(ratio, advantages, high, delta)
