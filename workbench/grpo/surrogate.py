"""The importance ratio, and PPO's clipped surrogate of it."""

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.grpo.padding import Mask, num_tokens, zero_padding

IMPORTANCE_SAMPLING_LEVELS = ("token", "sequence")


def check_level(level: str) -> None:
    """Raise ValueError unless the level is "token" or "sequence"."""
    if level not in IMPORTANCE_SAMPLING_LEVELS:
        raise ValueError(f"importance_sampling_level={level!r} is none of {', '.join(IMPORTANCE_SAMPLING_LEVELS)}")


def importance_ratio(
    logps: Float[Tensor, "B T"], old_logps: Float[Tensor, "B T"], mask: Mask, level: str = "token"
) -> Float[Tensor, "B T"]:
    r"""Return how much likelier each token has become since it was sampled: $r_t = \pi(o_t) / \pi_{\text{old}}(o_t)$.

    At level "sequence" (GSPO) every token of a completion carries the geometric mean of its row,
    $s = \exp\big(\tfrac1{|o|} \sum_t \log r_t\big)$. No unit; 1 means unchanged, and padding is 1. The gradient flows
    through `logps` alone if `old_logps` is detached. Ratios above e^88 overflow float32, here as in TRL.

    Raises ValueError if the level is neither "token" nor "sequence".
    Source: PPO, https://arxiv.org/abs/1707.06347; GSPO, https://arxiv.org/abs/2507.18071

    >>> logps, old_logps = torch.tensor([[0.6, 0.2, 0.9]]).log(), torch.tensor([[0.3, 0.4, 0.1]]).log()
    >>> importance_ratio(logps, old_logps, torch.tensor([[1, 1, 0]]))
    tensor([[2.0000, 0.5000, 1.0000]])
    >>> importance_ratio(logps, old_logps, torch.tensor([[1, 1, 0]]), level="sequence")
    tensor([[1., 1., 1.]])
    """
    check_level(level)
    log_ratio = zero_padding(logps, mask) - zero_padding(old_logps, mask)
    if level == "token":
        return log_ratio.exp()
    sequence_ratio = (log_ratio.sum(dim=1, keepdim=True) / num_tokens(mask)).exp()
    return torch.where(mask.bool(), sequence_ratio, torch.ones_like(log_ratio))


def band(epsilon: float, epsilon_high: float | None = None) -> tuple[float, float]:
    r"""Return the ends of the trust band, $1 - \epsilon$ and $1 + \epsilon_{\text{high}}$ (`epsilon` again if None).

    >>> band(0.25), band(0.25, 0.5)
    ((0.75, 1.25), (0.75, 1.5))
    """
    return 1 - epsilon, 1 + (epsilon if epsilon_high is None else epsilon_high)


def per_token(advantages: Float[Tensor, "..."]) -> Float[Tensor, "B _"]:
    """Return (B,) advantages as a column, for every token of a completion has the same; leave (B, T) ones alone.

    >>> per_token(torch.tensor([1.0, -1.0]))
    tensor([[ 1.],
            [-1.]])
    """
    return advantages[:, None] if advantages.dim() == 1 else advantages


def clipped_surrogate(
    ratio: Float[Tensor, "B T"],
    advantages: Float[Tensor, " B"] | Float[Tensor, "B T"],
    epsilon: float = 0.2,
    epsilon_high: float | None = None,
    delta: float | None = None,
) -> Float[Tensor, "B T"]:
    r"""Return PPO's objective per token: $\min(r A,\ \mathrm{clip}(r, 1 - \epsilon, 1 + \epsilon_{\text{high}}) A)$.

    It is to be raised; the loss is its negative. Unit: that of A. `epsilon_high` is `epsilon` if None. `delta`
    (two-sided clipping) replaces the first r by $\min(r, \delta)$: above 1 + epsilon_high, as it is meant to be, it
    bounds the otherwise unbounded r A of A < 0; below, it instead becomes the cap of A > 0 and leaves 1 + epsilon_high
    to A < 0.

    Source: PPO, https://arxiv.org/abs/1707.06347; DAPO (epsilon_high), https://arxiv.org/abs/2503.14476;
    INTELLECT-2 (delta), https://arxiv.org/abs/2505.07291; as TRL 1.16.

    >>> ratio = torch.tensor([[0.5, 1.0, 1.5]])
    >>> clipped_surrogate(ratio, torch.tensor([1.0]))
    tensor([[0.5000, 1.0000, 1.2000]])
    >>> clipped_surrogate(ratio, torch.tensor([-1.0]))
    tensor([[-0.8000, -1.0000, -1.5000]])
    >>> clipped_surrogate(ratio, torch.tensor([-1.0]), delta=1.4)
    tensor([[-0.8000, -1.0000, -1.4000]])
    """
    advantages = per_token(advantages)
    capped = ratio if delta is None else ratio.clamp(max=delta)
    return torch.minimum(capped * advantages, ratio.clamp(*band(epsilon, epsilon_high)) * advantages)
