r"""The gradient coefficient: how hard each token is pushed, and by what.

The coefficient of a token is $c_{it} = -\partial\,\text{loss} / \partial \log \pi(o_{it})$: the gradient of the policy
is $\sum_{it} c_{it} \nabla \log \pi(o_{it})$, so c > 0 makes the token likelier. Read what follows as closed forms of
autograd through `grpo_loss` (the tests hold them equal, for every loss type); Adam and the norm clip come after.
Source of the idea: DeepSeekMath, https://arxiv.org/abs/2402.03300
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.grpo.batchweights import BatchWeights
from workbench.grpo.kl import KL_SLOPES
from workbench.grpo.loss import LossTerms
from workbench.grpo.losstypes import LOGP_LOSS_TYPES
from workbench.grpo.options import LossOptions
from workbench.grpo.padding import Mask, as_numbers, num_tokens, zero_padding
from workbench.grpo.surrogate import check_level, per_token


@dataclass(frozen=True)
class GradientParts:
    """What pushes each token. The coefficient is `push + kl_pull`; `lost` is what the clip kept out of `push`."""

    push: Float[Tensor, "B T"]  # the surrogate's: up for A > 0, down for A < 0
    kl_pull: Float[Tensor, "B T"]  # towards the reference
    lost: Float[Tensor, "B T"]


def through_ratio(coefficients: Float[Tensor, "B T"], mask: Mask, level: str) -> Float[Tensor, "B T"]:
    r"""Return coefficients of $\log r$ as coefficients of $\log \pi$: the same, or each row's sum shared by its tokens.

    At level "sequence" every token's term moves every token, for $\partial \log s / \partial \log \pi_t = 1/|o|$.

    >>> through_ratio(torch.tensor([[3.0, 1.0, 0.0]]), torch.tensor([[1, 1, 0]]), "sequence")
    tensor([[2., 2., 0.]])
    """
    check_level(level)
    if level == "token":
        return coefficients
    return as_numbers(mask) * coefficients.sum(dim=1, keepdim=True) / num_tokens(mask)


def kl_pull(
    terms: LossTerms,
    logps: Float[Tensor, "B T"],
    ref_logps: Float[Tensor, "B T"] | None,
    mask: Mask,
    options: LossOptions,
) -> Float[Tensor, "B T"]:
    r"""Return the KL's coefficient $-\beta\, w\, k'$, or if bias-corrected $-\beta\, w\, (r k' + r k)$.

    Zeros at beta = 0, and for the exact KL. Unit: that of the loss per nat. Raises ValueError for a beta without
    ref_logps.

    >>> from workbench.grpo.loss import grpo_loss
    >>> logps, ref_logps, mask = torch.tensor([[-1.0]]), torch.tensor([[-3.0]]), torch.tensor([[1]])
    >>> terms = grpo_loss(logps, logps, ref_logps, torch.ones(1), mask, beta=0.5, kl_estimator="k2")
    >>> kl_pull(terms, logps, ref_logps, mask, LossOptions(beta=0.5, kl_estimator="k2"))  # -0.5 * (-1 + 3)
    tensor([[-1.]])
    """
    if options.beta == 0 or options.kl_estimator == "exact":
        return torch.zeros_like(terms.ratio)
    if ref_logps is None:
        raise ValueError(f"beta={options.beta} weighs the KL to a reference, but ref_logps is None")
    slope = KL_SLOPES[options.kl_estimator](zero_padding(logps, mask), zero_padding(ref_logps, mask))
    if not options.use_bias_correction_kl:
        return -options.beta * terms.weights * slope
    of_ratio = through_ratio(terms.weights * terms.kl, mask, options.importance_sampling_level)
    return -options.beta * (terms.weights * terms.ratio * slope + of_ratio)


def gradient_parts(
    terms: LossTerms,
    logps: Float[Tensor, "B T"],
    ref_logps: Float[Tensor, "B T"] | None,
    advantages: Float[Tensor, " B"] | Float[Tensor, "B T"],
    mask: Mask,
    *,
    entropies: Float[Tensor, "B T"] | None = None,
    exact_kl: Float[Tensor, "B T"] | None = None,
    weights: BatchWeights | None = None,
    **options: Any,
) -> GradientParts:
    r"""Return the push $w\, g A$ of live tokens, the pull of the KL, and the $w\, g A$ that the clip cut. No gradient.

    Give it what `grpo_loss` was given, `options` being its keywords, and the terms that it returned: they hold the gain
    $g$ (see `losstypes`), and all that entropies and weights had to say, so these are not read again. A token that the
    loss did not keep has no push; at level "sequence" it shares in the push of its completion all the same.

    The entropy bonus and the exact KL are in no part. They move the whole distribution at a position, so they have no
    coefficient on the log-probability of the sampled token.

    Raises ValueError as `LossOptions` does, and for a beta without ref_logps; TypeError for a keyword of another name.

    >>> from workbench.grpo.loss import grpo_loss
    >>> logps, old_logps = torch.tensor([[0.6, 0.5]]).log(), torch.tensor([[0.4, 0.5]]).log()
    >>> advantages, mask = torch.tensor([1.0]), torch.tensor([[1, 1]])
    >>> terms = grpo_loss(logps, old_logps, None, advantages, mask)  # ratios 1.5 (cut) and 1; each token weighs 1/2
    >>> parts = gradient_parts(terms, logps, None, advantages, mask)
    >>> parts.push, parts.lost
    (tensor([[0.0000, 0.5000]]), tensor([[0.7500, 0.0000]]))
    """
    checked = LossOptions(**options)
    level = "token" if checked.loss_type in LOGP_LOSS_TYPES else checked.importance_sampling_level
    advantages = zero_padding(per_token(advantages).expand_as(terms.ratio), mask)
    unclipped = terms.weights * terms.gain * advantages
    zeros = torch.zeros_like(unclipped)
    return GradientParts(
        push=through_ratio(torch.where(terms.kept & ~terms.clipped, unclipped, zeros), mask, level),
        kl_pull=kl_pull(terms, logps.detach(), ref_logps, mask, checked),
        lost=through_ratio(torch.where(terms.clipped, unclipped, zeros), mask, level),
    )


def gradient_coefficient(parts: GradientParts) -> Float[Tensor, "B T"]:
    r"""Return $c = -\partial\,\text{loss} / \partial \log \pi$ of each token. Unit: that of the loss per nat.

    >>> gradient_coefficient(GradientParts(torch.tensor([[0.5]]), torch.tensor([[-0.125]]), torch.tensor([[0.0]])))
    tensor([[0.3750]])
    """
    return parts.push + parts.kl_pull
