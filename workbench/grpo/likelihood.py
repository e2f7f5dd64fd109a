"""Likelihood: SFT, RFT and online RFT make the completions that count likelier, and nothing less likely."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from workbench.grpo.padding import Mask, zero_padding


@dataclass(frozen=True)
class LikelihoodTerms:
    """A loss and its parts. Only `loss` carries a gradient."""

    loss: Float[Tensor, ""]  # nats
    coefficients: Float[Tensor, "B T"]  # minus the slope of the loss by each log-probability


def likelihood_loss(
    logps: Float[Tensor, "B T"], kept: Bool[Tensor, " B"], mask: Mask, weights: Float[Tensor, "B T"]
) -> LikelihoodTerms:
    r"""Return $-\sum_{it} c_{it} \log \pi(o_{it})$, and the coefficients $c_{it} = w_{it}\, \mathbb{1}[\text{kept}_i]$.

    SFT keeps every demonstration, RFT and online RFT the completions that are right. The weights (`batch_weights`) are
    of the whole batch, completions that are not kept included, so that micro-batches add up to it exactly; a batch with
    few right completions moves the policy little.
    Source: DeepSeekMath, section 5.2, https://arxiv.org/abs/2402.03300; RFT, https://arxiv.org/abs/2308.01825

    >>> logps, kept = torch.tensor([[-1.0, -2.0], [-9.0, -9.0]]), torch.tensor([True, False])
    >>> terms = likelihood_loss(logps, kept, torch.ones(2, 2), torch.full((2, 2), 0.25))
    >>> terms.loss, terms.coefficients
    (tensor(0.7500), tensor([[0.2500, 0.2500],
            [0.0000, 0.0000]]))
    """
    weights = zero_padding(weights.detach(), mask)
    coefficients = torch.where(kept[:, None], weights, torch.zeros_like(weights))
    return LikelihoodTerms(loss=-(coefficients * zero_padding(logps, mask)).sum(), coefficients=coefficients)
