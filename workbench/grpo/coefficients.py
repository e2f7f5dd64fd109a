r"""The gradient coefficient: how hard each token is pushed, and by what.

The coefficient of a token is $c_{it} = -\partial\,\text{loss} / \partial \log \pi(o_{it})$: the gradient of the policy
is $\sum_{it} c_{it} \nabla \log \pi(o_{it})$, so c > 0 makes the token likelier. Read what follows as closed forms of
autograd through `grpo_loss` (the tests hold them equal); Adam and the norm clip come after.
Source of the idea: DeepSeekMath, https://arxiv.org/abs/2402.03300
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.grpo.kl import KL_SLOPES, check_estimator
from workbench.grpo.loss import LossTerms
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
    *,
    beta: float,
    importance_sampling_level: str = "token",
    kl_estimator: str = "k3",
    use_bias_correction_kl: bool = False,
) -> Float[Tensor, "B T"]:
    r"""Return the KL's coefficient $-\beta\, w\, k'$, or if bias-corrected $-\beta\, w\, (r k' + r k)$.

    Zeros at beta = 0. Unit: that of the loss per nat. Raises ValueError as `grpo_loss` does.

    >>> logps, ref_logps, mask = torch.tensor([[-1.0]]), torch.tensor([[-3.0]]), torch.tensor([[1]])
    >>> one = torch.ones(1, 1)
    >>> terms = LossTerms(one.sum(), ratio=one, kl=one, clipped=one > 1, outside_band=one > 1, weights=one)
    >>> kl_pull(terms, logps, ref_logps, mask, beta=0.5, kl_estimator="k2")  # -0.5 * (-1 + 3)
    tensor([[-1.]])
    """
    check_estimator(kl_estimator)
    if beta == 0:
        return torch.zeros_like(terms.ratio)
    if ref_logps is None:
        raise ValueError(f"beta={beta} weighs the KL to a reference, but ref_logps is None")
    slope = KL_SLOPES[kl_estimator](zero_padding(logps, mask), zero_padding(ref_logps, mask))
    if not use_bias_correction_kl:
        return -beta * terms.weights * slope
    of_ratio = through_ratio(terms.weights * terms.kl, mask, importance_sampling_level)
    return -beta * (terms.weights * terms.ratio * slope + of_ratio)


def gradient_parts(
    terms: LossTerms,
    logps: Float[Tensor, "B T"],
    ref_logps: Float[Tensor, "B T"] | None,
    advantages: Float[Tensor, " B"] | Float[Tensor, "B T"],
    mask: Mask,
    *,
    beta: float = 0.0,
    importance_sampling_level: str = "token",
    kl_estimator: str = "k3",
    use_bias_correction_kl: bool = False,
) -> GradientParts:
    r"""Return the push $w\, r A$ of live tokens, the pull of the KL, and the $w\, r A$ that the clip cut. No gradient.

    Give it what `grpo_loss` was given, and the terms that it returned.

    >>> from workbench.grpo.loss import grpo_loss
    >>> logps, old_logps = torch.tensor([[0.6, 0.5]]).log(), torch.tensor([[0.4, 0.5]]).log()
    >>> advantages, mask = torch.tensor([1.0]), torch.tensor([[1, 1]])
    >>> terms = grpo_loss(logps, old_logps, None, advantages, mask)  # ratios 1.5 (cut) and 1; each token weighs 1/2
    >>> parts = gradient_parts(terms, logps, None, advantages, mask)
    >>> parts.push, parts.lost
    (tensor([[0.0000, 0.5000]]), tensor([[0.7500, 0.0000]]))
    """
    advantages = zero_padding(per_token(advantages).expand_as(terms.ratio), mask)
    unclipped = terms.weights * terms.ratio * advantages
    zeros = torch.zeros_like(unclipped)
    push = through_ratio(torch.where(terms.clipped, zeros, unclipped), mask, importance_sampling_level)
    lost = through_ratio(torch.where(terms.clipped, unclipped, zeros), mask, importance_sampling_level)
    pull = kl_pull(
        terms,
        logps.detach(),
        ref_logps,
        mask,
        beta=beta,
        importance_sampling_level=importance_sampling_level,
        kl_estimator=kl_estimator,
        use_bias_correction_kl=use_bias_correction_kl,
    )
    return GradientParts(push=push, kl_pull=pull, lost=lost)


def gradient_coefficient(parts: GradientParts) -> Float[Tensor, "B T"]:
    r"""Return $c = -\partial\,\text{loss} / \partial \log \pi$ of each token. Unit: that of the loss per nat.

    >>> gradient_coefficient(GradientParts(torch.tensor([[0.5]]), torch.tensor([[-0.125]]), torch.tensor([[0.0]])))
    tensor([[0.3750]])
    """
    return parts.push + parts.kl_pull
