"""The loss, and what it is made of."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from workbench.grpo.batchweights import BatchWeights, batch_weights
from workbench.grpo.kl import kl_term
from workbench.grpo.losstypes import Tokens, token_surrogate
from workbench.grpo.options import LossOptions
from workbench.grpo.padding import Mask, as_numbers, zero_padding
from workbench.grpo.surrogate import importance_ratio, per_token
from workbench.grpo.tokenmasks import on_policy_mask


@dataclass(frozen=True)
class LossTerms:
    """A loss and its parts. Only `loss` carries a gradient; the parts are to look at. Padding: ratio 1, all else 0.

    A token is either dropped (not `kept`), `clipped`, or it learns from its advantage.
    """

    loss: Float[Tensor, ""]  # the sum of the token losses, minus the entropy bonus
    ratio: Float[Tensor, "B T"]  # at level "sequence", that of the completion on each of its tokens
    kl: Float[Tensor, "B T"]  # nats, what beta multiplies: times the ratio if bias-corrected; 0 without a reference
    clipped: Bool[Tensor, "B T"]  # the clip made the surrogate's gradient zero; never for the soft loss types
    outside_band: Bool[Tensor, "B T"]  # for cispo above its cap; nowhere for sapo, vespo and online, which have none
    weights: Float[Tensor, "B T"]  # of the token in the loss
    kept: Bool[Tensor, "B T"]  # its surrogate counts: the entropy mask and the off-policy mask let it pass
    gain: Float[Tensor, "B T"]  # times A: the gradient of its surrogate if nothing is cut; see `losstypes`
    token_losses: Float[Tensor, "B T"]  # its weighted share of the loss: surrogate and KL
    entropy_bonus: Float[Tensor, ""]  # entropy_coef times the mean entropy; 0 if off


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
    sapo_temperature_pos: float = 1.0,
    sapo_temperature_neg: float = 1.05,
    vespo_k_pos: float = 2.0,
    vespo_lambda_pos: float = 3.0,
    vespo_k_neg: float = 3.0,
    vespo_lambda_neg: float = 2.0,
    off_policy_mask_threshold: float | None = None,
    top_entropy_quantile: float = 1.0,
    entropy_coef: float = 0.0,
    entropies: Float[Tensor, "B T"] | None = None,
    exact_kl: Float[Tensor, "B T"] | None = None,
    weights: BatchWeights | None = None,
) -> LossTerms:
    r"""Return the loss, to be lowered, and its parts: its value and gradient are TRL 1.16's, which names the options.

    $$\sum_{it} w_{it} (-m_{it}\, \text{surrogate}_{it} + \beta\, \mathrm{KL}_{it}) - c\, \bar H$$

    The loss type chooses the surrogate (`losstypes`) and the weights $w$ (`weights`). $m$ is 1 on the tokens that
    `tokenmasks` keeps; the KL is on all. $\bar H$ is the mean of the `entropies` of the high-entropy tokens, which
    carry its gradient. Unit: that of the advantages.

    Detach `ref_logps` and `old_logps`; on-policy the latter are `logps.detach()`, and the ratio is exactly 1. The KL is
    shown at beta = 0 too if there are `ref_logps`, but then it is not in the loss. Padding may hold anything. With the
    `weights` of the whole batch (`batch_weights`), micro-batches add up to the batch exactly; without, the rows given
    are the batch.

    Raises ValueError as `LossOptions` and `batch_weights` do, for a beta or an entropy_coef that weighs nothing, and
    for tensors whose shapes differ.
    Source: DeepSeekMath, https://arxiv.org/abs/2402.03300

    >>> logps, old_logps = torch.tensor([[0.6, 0.5]]).log(), torch.tensor([[0.4, 0.5]]).log()
    >>> terms = grpo_loss(logps, old_logps, None, torch.tensor([1.0]), torch.tensor([[1, 1]]))
    >>> terms.ratio, terms.loss  # -(min(1.5, 1.2) + 1) / 2
    (tensor([[1.5000, 1.0000]]), tensor(-1.1000))
    """
    options = LossOptions(
        loss_type=loss_type,
        beta=beta,
        epsilon=epsilon,
        epsilon_high=epsilon_high,
        delta=delta,
        importance_sampling_level=importance_sampling_level,
        kl_estimator=kl_estimator,
        use_bias_correction_kl=use_bias_correction_kl,
        max_completion_length=max_completion_length,
        sapo_temperature_pos=sapo_temperature_pos,
        sapo_temperature_neg=sapo_temperature_neg,
        vespo_k_pos=vespo_k_pos,
        vespo_lambda_pos=vespo_lambda_pos,
        vespo_k_neg=vespo_k_neg,
        vespo_lambda_neg=vespo_lambda_neg,
        off_policy_mask_threshold=off_policy_mask_threshold,
        top_entropy_quantile=top_entropy_quantile,
        entropy_coef=entropy_coef,
    )
    options.check_inputs(ref_logps, entropies, exact_kl)
    ref_logps, entropies, exact_kl = (_cleaned(values, mask) for values in (ref_logps, entropies, exact_kl))
    tokens = _tokens(logps, old_logps, advantages, mask, importance_sampling_level)
    if weights is None:
        weights = _own_weights(tokens, entropies, options)
    kl = kl_term(tokens.logps, ref_logps, tokens.ratio, kl_estimator, use_bias_correction_kl, exact_kl)
    return compose(tokens, kl, entropies, weights, options)


def _cleaned(values: Float[Tensor, "B T"] | None, mask: Mask) -> Float[Tensor, "B T"] | None:
    return None if values is None else zero_padding(values, mask)


def _tokens(
    logps: Float[Tensor, "B T"],
    old_logps: Float[Tensor, "B T"],
    advantages: Float[Tensor, " B"] | Float[Tensor, "B T"],
    mask: Mask,
    level: str,
) -> Tokens:
    logps, old_logps = zero_padding(logps, mask), zero_padding(old_logps, mask)
    if len(advantages) != len(logps):
        raise ValueError(f"there are {len(advantages)} advantages for {len(logps)} completions")
    if advantages.dim() == 2 and advantages.shape[1] != logps.shape[1]:
        raise ValueError(f"there are {advantages.shape[1]} advantages a completion for {logps.shape[1]} tokens")
    return Tokens(
        logps=logps,
        old_logps=old_logps,
        ratio=importance_ratio(logps, old_logps, mask, level),
        advantages=zero_padding(per_token(advantages).expand_as(logps), mask),
        mask=mask,
    )


def _own_weights(tokens: Tokens, entropies: Float[Tensor, "B T"] | None, options: LossOptions) -> BatchWeights:
    """Return the weights of these rows as a batch of their own."""
    return batch_weights(
        options.loss_type,
        as_numbers(tokens.mask).to(tokens.logps.dtype),
        max_completion_length=options.max_completion_length,
        entropies=entropies,
        top_entropy_quantile=options.top_entropy_quantile,
    )


def compose(
    tokens: Tokens,
    kl: Float[Tensor, "B T"],
    entropies: Float[Tensor, "B T"] | None,
    weights: BatchWeights,
    options: LossOptions,
) -> LossTerms:
    """Return the loss of its parts: the surrogate where it counts, the KL everywhere, less the entropy bonus."""
    surrogate = token_surrogate(tokens, options)
    kept = weights.high_entropy & tokens.mask.bool()
    if options.off_policy_mask_threshold is not None:
        kept = kept & on_policy_mask(
            tokens.logps, tokens.old_logps, tokens.advantages, tokens.mask, options.off_policy_mask_threshold
        )
    per_token_loss = -torch.where(kept, surrogate.value, torch.zeros_like(surrogate.value))
    if options.beta != 0:
        per_token_loss = per_token_loss + options.beta * kl
    loss_weights = zero_padding(weights.loss, tokens.mask)
    token_losses = loss_weights * per_token_loss
    bonus = token_losses.new_zeros(())
    if options.entropy_coef != 0 and entropies is not None:
        bonus = options.entropy_coef * (zero_padding(weights.entropy, tokens.mask) * entropies).sum()
    return LossTerms(
        loss=token_losses.sum() - bonus,
        ratio=tokens.ratio.detach(),
        kl=kl.detach(),
        clipped=surrogate.cut & kept,
        outside_band=surrogate.outside_band,
        weights=loss_weights,
        kept=kept,
        gain=surrogate.gain,
        token_losses=token_losses.detach(),
        entropy_bonus=bonus.detach(),
    )
