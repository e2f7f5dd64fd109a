"""The gradient budget: how much of a step's pushing goes up, down, back to the reference, and is lost to the clip."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from workbench.grpo.coefficients import GradientParts


@dataclass(frozen=True)
class GradientBudget:
    """Sums over the tokens of |coefficient|: how much pushing there is, not how much of it cancels in the weights."""

    push_up: Float[Tensor, "*B"]
    push_down: Float[Tensor, "*B"]
    kl_pull: Float[Tensor, "*B"]
    lost_to_clip: Float[Tensor, "*B"]


def gradient_budget(parts: GradientParts, *, by_row: bool = False) -> GradientBudget:
    """Return the sums of the parts over all tokens, or over each row's, without their signs. Micro-batches add up.

    >>> import torch
    >>> parts = GradientParts(torch.tensor([[0.5, -0.25]]), torch.tensor([[-0.125, 0.0]]), torch.tensor([[0.0, -2.0]]))
    >>> gradient_budget(parts)
    GradientBudget(push_up=tensor(0.5000), push_down=tensor(0.2500), kl_pull=tensor(0.1250), lost_to_clip=tensor(2.))
    """
    dim = -1 if by_row else None
    return GradientBudget(
        push_up=parts.push.clamp(min=0).sum(dim),
        push_down=(-parts.push).clamp(min=0).sum(dim),
        kl_pull=parts.kl_pull.abs().sum(dim),
        lost_to_clip=parts.lost.abs().sum(dim),
    )
