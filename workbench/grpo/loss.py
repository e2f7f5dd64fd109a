"""The loss, and what it is made of."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from workbench.grpo.clipping import clipped, outside_band
from workbench.grpo.kl import KL_ESTIMATORS, check_estimator
from workbench.grpo.padding import Mask, as_numbers, zero_padding
from workbench.grpo.surrogate import clipped_surrogate, importance_ratio, per_token
from workbench.grpo.weights import check_loss_type, token_weights


@dataclass(frozen=True)
class LossTerms:
    """A loss and its parts. Only `loss` carries a gradient; the parts are to look at. Padding: ratio 1, all else 0."""

    loss: Float[Tensor, ""]
    ratio: Float[Tensor, "B T"]  # at level "sequence", that of the completion on each of its tokens
    kl: Float[Tensor, "B T"]  # nats, what beta multiplies: times the ratio if bias-corrected; 0 without a reference
    clipped: Bool[Tensor, "B T"]  # the clip made the surrogate's gradient zero
    outside_band: Bool[Tensor, "B T"]
    weights: Float[Tensor, "B T"]  # of the token in the loss


def kl_term(
    logps: Float[Tensor, "B T"],
    ref_logps: Float[Tensor, "B T"] | None,
    ratio: Float[Tensor, "B T"],
    kl_estimator: str,
    use_bias_correction_kl: bool,
) -> Float[Tensor, "B T"]:
    """Return each token's KL estimate, times its ratio if bias-corrected (gradient through both); 0 without reference.

    >>> kl_term(torch.tensor([[-1.0]]), torch.tensor([[-3.0]]), torch.tensor([[1.5]]), "k1", True)
    tensor([[3.]])
    """
    check_estimator(kl_estimator)
    if ref_logps is None:
        return torch.zeros_like(logps)
    kl = KL_ESTIMATORS[kl_estimator](logps, ref_logps)
    return kl * ratio if use_bias_correction_kl else kl


def grpo_loss(
    logps: Float[Tensor, "B T"],
    old_logps: Float[Tensor, "B T"],
    ref_logps: Float[Tensor, "B T"] | None,
    advantages: Float[Tensor, " B"] | Float[Tensor, "B T"],
    mask: Mask,
    *,
    loss_type: str = "grpo",
    beta: float = 0.0,
    epsilon: float = 0.2,
    epsilon_high: float | None = None,
    delta: float | None = None,
    importance_sampling_level: str = "token",
    kl_estimator: str = "k3",
    use_bias_correction_kl: bool = False,
    max_completion_length: int | None = None,
    weights: Float[Tensor, "B T"] | None = None,
) -> LossTerms:
    r"""Return $\sum_{it} w_{it} (-\text{surrogate}_{it} + \beta\, \mathrm{KL}_{it})$, to be lowered, and its parts.

    Unit: that of the advantages. Detach `old_logps`; on-policy they are `logps.detach()`, and the ratio is exactly 1.
    The KL is shown at beta = 0 too if there are `ref_logps`, but then it is not in the loss. Padding may hold
    anything. With `weights` of the whole batch (`token_weights`), micro-batches add up to the batch exactly; without,
    the rows given are the batch.

    Raises ValueError for an unknown loss_type, level or estimator, beta without ref_logps, dr_grpo without its length.
    Source: DeepSeekMath, https://arxiv.org/abs/2402.03300; value and gradient as in TRL 1.16, which names the options.

    >>> logps, old_logps = torch.tensor([[0.6, 0.5]]).log(), torch.tensor([[0.4, 0.5]]).log()
    >>> terms = grpo_loss(logps, old_logps, None, torch.tensor([1.0]), torch.tensor([[1, 1]]))
    >>> terms.ratio, terms.loss  # -(min(1.5, 1.2) + 1) / 2
    (tensor([[1.5000, 1.0000]]), tensor(-1.1000))
    """
    check_loss_type(loss_type)
    if beta != 0 and ref_logps is None:
        raise ValueError(f"beta={beta} weighs the KL to a reference, but ref_logps is None")
    logps = zero_padding(logps, mask)
    ref_logps = None if ref_logps is None else zero_padding(ref_logps, mask)
    advantages = zero_padding(per_token(advantages).expand_as(logps), mask)
    if weights is None:
        weights = token_weights(loss_type, as_numbers(mask).to(logps.dtype), max_completion_length)
    weights = zero_padding(weights, mask)
    ratio = importance_ratio(logps, old_logps, mask, importance_sampling_level)
    kl = kl_term(logps, ref_logps, ratio, kl_estimator, use_bias_correction_kl)
    per_token_loss = -clipped_surrogate(ratio, advantages, epsilon, epsilon_high, delta)
    if beta != 0:
        per_token_loss = per_token_loss + beta * kl
    return LossTerms(
        loss=(weights * per_token_loss).sum(),
        ratio=ratio.detach(),
        kl=kl.detach(),
        clipped=clipped(ratio, advantages, epsilon, epsilon_high, delta),
        outside_band=outside_band(ratio, epsilon, epsilon_high),
        weights=weights,
    )
