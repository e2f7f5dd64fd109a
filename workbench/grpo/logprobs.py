"""Log-probabilities and entropy of a softmax over V logits, at a sampling temperature.

The temperature divides the logits here as it did when the tokens were sampled, or the ratio compares two policies that
never were. Everything is in nats and in float32 or better, whatever the dtype of the logits.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def tempered(logits: Float[Tensor, "*shape V"], temperature: float) -> Float[Tensor, "*shape V"]:
    """Return the logits divided by the temperature, in float32 or better. Raises ValueError if it is not above 0.

    >>> tempered(torch.tensor([1.0, 3.0]), 2.0)
    tensor([0.5000, 1.5000])
    """
    if not temperature > 0:
        raise ValueError(f"temperature={temperature} is not above 0, and the logits are divided by it")
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return wide if temperature == 1 else wide / temperature


def token_logps(
    logits: Float[Tensor, "*shape V"], token_ids: Int[Tensor, "*shape"], temperature: float = 1.0
) -> Float[Tensor, "*shape"]:
    r"""Return the log-probability of each chosen token: $\log p_k = z_k - \log \sum_v e^{z_v}$. Unit: nats.

    `logits[..., t, :]` must be those that *predict* `token_ids[..., t]`: shift before you call. A logit of -inf
    forbids its token. The log-softmax over V is never stored: only its two pieces are. Raises as `tempered` does.

    >>> token_logps(torch.log(torch.tensor([[0.25, 0.75]])), torch.tensor([1])).exp()
    tensor([0.7500])
    """
    scaled = tempered(logits, temperature)
    return scaled.gather(-1, token_ids[..., None]).squeeze(-1) - scaled.logsumexp(dim=-1)


def token_entropy(logits: Float[Tensor, "*shape V"], temperature: float = 1.0) -> Float[Tensor, "*shape"]:
    r"""Return the entropy of each distribution: $H = -\sum_v p_v \log p_v$. Unit: nats, 0 to log V. With gradient.

    A token of probability 0 (logit -inf) adds 0, to the gradient too. Raises as `tempered` does.

    >>> token_entropy(torch.tensor([[0.0, 0.0], [0.0, float("-inf")]]))  # log 2, and a certainty
    tensor([0.6931, 0.0000])
    """
    logps = tempered(logits, temperature).log_softmax(dim=-1)
    probabilities = logps.exp()
    surprise = torch.where(probabilities > 0, -logps, torch.zeros_like(logps))
    return (probabilities * surprise).sum(dim=-1)


def logps_and_entropy(
    logits: Float[Tensor, "*shape V"], token_ids: Int[Tensor, "*shape"], temperature: float = 1.0
) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """Return `token_logps` (with gradient) and `token_entropy` (without: it is to look at) of the same tempered logits.

    The float32 copy of the logits, the largest tensor of a step, is made once. Raises as `tempered` does.

    >>> logps, entropy = logps_and_entropy(torch.tensor([[0.0, 0.0]]), torch.tensor([0]))
    >>> logps, entropy
    (tensor([-0.6931]), tensor([0.6931]))
    """
    scaled = tempered(logits, temperature)
    logps = scaled.gather(-1, token_ids[..., None]).squeeze(-1) - scaled.logsumexp(dim=-1)
    with torch.no_grad():
        entropy = torch.special.entr(scaled.softmax(dim=-1)).sum(dim=-1)
    return logps, entropy
