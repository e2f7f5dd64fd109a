r"""The surrogate of each loss type: what is raised on a token, and what its gradient is. The loss is its negative.

With the gain $g$ the gradient of the surrogate is $g A$: on $\log r$, hence by $\partial \log s / \partial \log \pi$
on every token of the completion at level "sequence", or straight on $\log \pi$ of the token.

| loss type | surrogate | gain g | gradient on | source |
|---|---|---|---|---|
| grpo, bnpo, dr_grpo, dapo, luspo | PPO's clip of $r A$ | $r$, or 0 where cut | $\log r$ | arXiv 1707.06347 |
| cispo | $\min(r, c) A \log \pi$, c its cap | $\min(r, c)$ | $\log \pi$ | arXiv 2506.13585 |
| sapo | $\tfrac4\tau \sigma(\tau (r - 1)) A$ | $4 r \sigma (1 - \sigma)$ | $\log r$ | arXiv 2511.20347 |
| vespo | $\phi(s) A \log \pi$ | $\phi(s)$ | $\log \pi$ | arXiv 2602.10693 |
| online | $e^{\log \pi - \mathrm{detach}(\log \pi)} A$ | 1 | $\log r$ | one update per generation: grpo at r = 1 |
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from workbench.grpo.clipping import clipped, outside_band
from workbench.grpo.options import LossOptions
from workbench.grpo.padding import Mask, zero_padding
from workbench.grpo.soft import cispo_weight, sapo_gain, sapo_surrogate, vespo_phi
from workbench.grpo.surrogate import clipped_surrogate, importance_ratio
from workbench.grpo.weights import CLIPPED_LOSS_TYPES


@dataclass(frozen=True, eq=False)
class Tokens:
    """What a surrogate looks at. Padding: ratio 1, all else 0."""

    logps: Float[Tensor, "B T"]
    old_logps: Float[Tensor, "B T"]
    ratio: Float[Tensor, "B T"]
    advantages: Float[Tensor, "B T"]
    mask: Mask


@dataclass(frozen=True, eq=False)
class Surrogate:
    """What a loss type makes of each token. Only `value` carries a gradient."""

    value: Float[Tensor, "B T"]
    gain: Float[Tensor, "B T"]  # times A: the gradient, if nothing is cut
    cut: Bool[Tensor, "B T"]  # the clip made the gradient 0
    outside_band: Bool[Tensor, "B T"]  # of the ratios the clip leaves alone


def _clipped(tokens: Tokens, options: LossOptions) -> Surrogate:
    band = options.epsilon, options.epsilon_high
    return Surrogate(
        value=clipped_surrogate(tokens.ratio, tokens.advantages, *band, options.delta),
        gain=tokens.ratio,
        cut=clipped(tokens.ratio, tokens.advantages, *band, options.delta),
        outside_band=outside_band(tokens.ratio, *band),
    )


def _cispo(tokens: Tokens, options: LossOptions) -> Surrogate:
    weight = cispo_weight(tokens.ratio, options.cap)
    return _uncut(weight * tokens.advantages * tokens.logps, weight, tokens.ratio > options.cap)


def _sapo(tokens: Tokens, options: LossOptions) -> Surrogate:
    of_ratio = tokens.ratio, tokens.advantages, options.sapo_temperature_pos, options.sapo_temperature_neg
    return _uncut(sapo_surrogate(*of_ratio), sapo_gain(*of_ratio))


def _vespo(tokens: Tokens, options: LossOptions) -> Surrogate:
    phi = vespo_phi(
        tokens.logps,
        tokens.old_logps,
        tokens.advantages,
        tokens.mask,
        k_pos=options.vespo_k_pos,
        lambda_pos=options.vespo_lambda_pos,
        k_neg=options.vespo_k_neg,
        lambda_neg=options.vespo_lambda_neg,
    )
    return _uncut(phi * tokens.advantages * tokens.logps, phi)


def _online(tokens: Tokens, options: LossOptions) -> Surrogate:
    logps = tokens.logps
    one = importance_ratio(logps, logps.detach(), tokens.mask, options.importance_sampling_level)
    return _uncut(one * tokens.advantages, one)


def _uncut(
    value: Float[Tensor, "B T"], gain: Float[Tensor, "B T"], outside: Bool[Tensor, "B T"] | None = None
) -> Surrogate:
    nowhere = torch.zeros_like(gain, dtype=torch.bool)
    return Surrogate(value=value, gain=gain, cut=nowhere, outside_band=nowhere if outside is None else outside)


_SURROGATES: dict[str, Callable[[Tokens, LossOptions], Surrogate]] = {
    **dict.fromkeys(CLIPPED_LOSS_TYPES, _clipped),
    "cispo": _cispo,
    "sapo": _sapo,
    "vespo": _vespo,
    "online": _online,
}
LOGP_LOSS_TYPES = ("cispo", "vespo")  # their gradient is straight on log pi


def token_surrogate(tokens: Tokens, options: LossOptions) -> Surrogate:
    """Return the surrogate of the options' loss type; gain and flags are detached, and 0 and False on padding.

    >>> one, mask = torch.ones(1, 1), torch.ones(1, 1)
    >>> tokens = Tokens(logps=-2 * one, old_logps=-2 * one, ratio=one, advantages=3 * one, mask=mask)
    >>> token_surrogate(tokens, LossOptions(loss_type="cispo", epsilon_high=5.0)).value  # min(1, 5) * 3 * -2
    tensor([[-6.]])
    """
    surrogate = _SURROGATES[options.loss_type](tokens, options)
    is_token = tokens.mask.bool()
    return Surrogate(
        value=surrogate.value,
        gain=zero_padding(surrogate.gain.detach(), tokens.mask),
        cut=surrogate.cut & is_token,
        outside_band=surrogate.outside_band & is_token,
    )
