"""From the last states to log-probabilities, without ever holding the logits of all tokens."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from workbench.grpo.logprobs import tempered

LOGITS_AT_ONCE = 2**26  # numbers; what is larger is made in pieces, and again in the backward pass


class TokenLogps(torch.autograd.Function):
    """Log-probability (with gradient) and entropy (without) of each token, in nats, from the state that predicts it.

    The logits of all tokens are never held at once: they are made for some tokens at a time, and once more in the
    backward pass. Where all of them are few, their probabilities are kept instead.
    """

    @staticmethod
    def forward(
        ctx: Any,
        states: Float[Tensor, "N I"],
        head: Float[Tensor, "V I"],
        token_ids: Int[Tensor, " N"],
        temperature: float,
    ) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
        size = max(1, LOGITS_AT_ONCE // len(head))
        found = [
            _logps(part, head, ids, temperature)
            for part, ids in zip(states.split(size), token_ids.split(size), strict=True)
        ]
        logps, entropy = (torch.cat([one[i] for one in found]) for i in (0, 1))
        kept = [found[0][2]] if len(found) == 1 else []
        ctx.save_for_backward(states, head, token_ids, *kept)
        ctx.temperature, ctx.size = temperature, size
        ctx.mark_non_differentiable(entropy)
        return logps, entropy

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        states, head, token_ids, *kept = ctx.saved_tensors
        to_states = torch.empty_like(states)
        for start in range(0, len(states), ctx.size):
            some = slice(start, start + ctx.size)
            ids, gradient = token_ids[some, None], (gradients[0][some, None] / ctx.temperature)
            probabilities = kept[0] if kept else _logps(states[some], head, ids[:, 0], ctx.temperature)[2]
            to_logits = (probabilities * -gradient).scatter_add_(1, ids, gradient)
            torch.mm(to_logits.to(head.dtype), head, out=to_states[some])
        return to_states, None, None, None


def _logps(
    states: Float[Tensor, "N I"], head: Float[Tensor, "V I"], token_ids: Int[Tensor, " N"], temperature: float
) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"], Float[Tensor, "N V"]]:
    """Return log-probabilities, entropies, and the probabilities of the whole vocabulary."""
    logps = tempered(F.linear(states, head), temperature).log_softmax(dim=-1)
    probabilities = logps.exp()
    chosen = logps.gather(-1, token_ids[:, None])[:, 0]
    # a probability of 0 has a log-probability of -inf, and their product must be 0
    return chosen, logps.clamp_(min=-1e4).mul_(probabilities).sum(-1).neg_(), probabilities
