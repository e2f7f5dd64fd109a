"""Which tokens the surrogate counts on: those of high entropy, and completions that are not too far off-policy.

The KL to the reference is on every token all the same, as in TRL 1.16.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from workbench.grpo.padding import Mask, num_tokens, zero_padding
from workbench.grpo.surrogate import per_token


def high_entropy_mask(
    entropies: Float[Tensor, "B T"], mask: Mask, top_entropy_quantile: float = 1.0
) -> Bool[Tensor, "B T"]:
    r"""Return the share `top_entropy_quantile` of all tokens whose entropy is highest: $H_{it} \ge Q_{1 - \rho}(H)$.

    The quantile is over the tokens of all rows given, interpolated linearly, in float32; a token on it is in. At 1
    every token is in. Padding is never in. Raises ValueError unless the share is in [0, 1] and the shapes are equal.

    Source: Beyond the 80/20 Rule, https://arxiv.org/abs/2506.01939; as TRL 1.16, which takes it per micro-batch.

    >>> high_entropy_mask(torch.tensor([[0.1, 0.4, 0.2], [0.3, 0.5, 9.0]]), torch.tensor([[1, 1, 1], [1, 1, 0]]), 0.5)
    tensor([[False,  True, False],
            [ True,  True, False]])
    """
    check_quantile(top_entropy_quantile)
    is_token = mask.bool()
    if top_entropy_quantile == 1 or not is_token.any():
        return is_token
    entropies = zero_padding(entropies.detach(), mask).float()
    threshold = torch.quantile(entropies[is_token], 1 - top_entropy_quantile)
    return is_token & (entropies >= threshold)


def check_quantile(top_entropy_quantile: float) -> None:
    """Raise ValueError unless the share is in [0, 1]."""
    if not 0 <= top_entropy_quantile <= 1:
        raise ValueError(f"top_entropy_quantile={top_entropy_quantile} is outside [0, 1]: it is a share of the tokens")


def on_policy_mask(
    logps: Float[Tensor, "B T"],
    old_logps: Float[Tensor, "B T"],
    advantages: Float[Tensor, " B"] | Float[Tensor, "B T"],
    mask: Mask,
    threshold: float,
) -> Bool[Tensor, "B T"]:
    r"""Return the tokens that the off-policy mask keeps: $A \ge 0$, or $\tfrac1{|o|} \sum_t -\log r_t \le$ threshold.

    What it drops is a bad completion that the policy has already left: of A < 0, and made less likely by more than
    `threshold` nats a token. Lowering it further teaches nothing and disturbs the rest. A token whose log-ratio is NaN
    counts as unmoved. With advantages (B, T) each token is judged by its own A and its completion's mean.

    Source: DeepSeek-V3.2, https://arxiv.org/abs/2512.02556; as TRL 1.16.

    >>> logps, old_logps = torch.tensor([[-2.0], [-2.0]]), torch.tensor([[-1.0], [-1.0]])
    >>> on_policy_mask(logps, old_logps, torch.tensor([1.0, -1.0]), torch.tensor([[1], [1]]), threshold=0.5)
    tensor([[ True],
            [False]])
    """
    drift = zero_padding(old_logps, mask) - zero_padding(logps.detach(), mask)
    mean_drift = drift.nan_to_num(nan=0.0).sum(dim=1, keepdim=True) / num_tokens(mask)
    return mask.bool() & ((per_token(advantages) >= 0) | (mean_drift <= threshold))
