"""The gradient budget: how much of a step's pushing goes up, down, back to the reference, and is lost to the clip."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from workbench.grpo.coefficients import GradientParts


@dataclass(frozen=True)
class GradientBudget:
    """Sums over the tokens of |coefficient|: how much pushing there is, not how much of it cancels in the weights."""

    push_up: Float[Tensor, ""]
    push_down: Float[Tensor, ""]
    kl_pull: Float[Tensor, ""]
    lost_to_clip: Float[Tensor, ""]


def gradient_budget(parts: GradientParts) -> GradientBudget:
    """Return the sums of the parts over the tokens, each without its sign. Micro-batches add up.

    >>> import torch
    >>> parts = GradientParts(torch.tensor([[0.5, -0.25]]), torch.tensor([[-0.125, 0.0]]), torch.tensor([[0.0, -2.0]]))
    >>> gradient_budget(parts)
    GradientBudget(push_up=tensor(0.5000), push_down=tensor(0.2500), kl_pull=tensor(0.1250), lost_to_clip=tensor(2.))
    """
    return GradientBudget(
        push_up=parts.push.clamp(min=0).sum(),
        push_down=(-parts.push).clamp(min=0).sum(),
        kl_pull=parts.kl_pull.abs().sum(),
        lost_to_clip=parts.lost.abs().sum(),
    )
