"""From the logits of all tokens to the one that is sampled, and to what is noted of it.

TorchScript compiles these functions too (`engine/lean/manytokens.py`). It knows no shapes: they are in the docstrings.
"""

from typing import no_type_check

import torch
from torch import Tensor

NOT_FINITE = "the policy's logits are not finite: training diverged; lower the learning rate or raise β"


@no_type_check  # TorchScript reads the annotations, and these are all that it knows
def likeliest(probabilities: Tensor, top_k: int, top_p: float) -> Tensor:
    """Return the probabilities [R, V] with 0 for all but the `top_k` likeliest (0: all) and, of these, the nucleus.

    The nucleus is the fewest tokens, likeliest first, whose share of what is left reaches `top_p`. Rows no longer sum
    to 1. Source: https://arxiv.org/abs/1904.09751

    >>> likeliest(torch.tensor([[0.5, 0.25, 0.125, 0.125]]), 0, 0.6)
    tensor([[0.5000, 0.2500, 0.0000, 0.0000]])
    >>> likeliest(torch.tensor([[0.5, 0.25, 0.125, 0.125]]), 1, 1.0)
    tensor([[0.5000, 0.0000, 0.0000, 0.0000]])
    """
    if top_k == 0 and top_p == 1.0:
        return probabilities
    ordered, ids = probabilities.sort(dim=-1, descending=True, stable=True)
    if top_k > 0:
        ordered[:, top_k:] = 0.0
    before = ordered.cumsum(-1) - ordered
    ordered = torch.where(before < top_p * ordered.sum(-1, keepdim=True), ordered, torch.zeros_like(ordered))
    return torch.zeros_like(probabilities).scatter(-1, ids, ordered)


@no_type_check
def draw(probabilities: Tensor, chances: Tensor) -> Tensor:
    """Return one index for each row of [R, V]: the first whose cumulated probability exceeds the row's chance [R].

    Chances are in [0, 1). Rows need not sum to exactly 1; an index of probability 0 is never drawn. V, which is no
    index, where they are not finite. Much faster than `torch.multinomial`, which draws a random number for every entry.

    >>> draw(torch.tensor([[0.0, 1.0, 0.0], [0.25, 0.0, 0.75]]), torch.tensor([0.5, 0.25]))
    tensor([1, 2])
    """
    cumulated = probabilities.cumsum(-1, dtype=torch.float64)
    return torch.searchsorted(cumulated, chances.double()[:, None] * cumulated[:, -1:], right=True)[:, 0]


@no_type_check
def seen(logits: Tensor, token_ids: Tensor, num_alternatives: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return what is noted of tokens [R] and the logits [R, V], divided by the temperature, they were drawn from.

    Log-probability [R], entropy [R] in nats, and the likeliest tokens in its place [R, K] with theirs.

    >>> logps, entropy, top_ids, top_logps = seen(torch.tensor([[0.0, 0.0, float("-inf")]]), torch.tensor([1]), 1)
    >>> logps.item() == entropy.item() * -1 == -torch.tensor(2.0).log().item()
    True
    """
    logps = logits.log_softmax(-1)
    top_logps, top_ids = logps.topk(num_alternatives)
    chosen = logps.gather(-1, token_ids[:, None])[:, 0]
    # a probability of 0 has a log-probability of -inf, and their product must be 0
    entropy = logps.exp().mul_(logps.clamp_(min=-1e4)).sum(-1).neg_()
    return chosen, entropy, top_ids, top_logps
