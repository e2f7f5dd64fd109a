"""From the probabilities of all tokens to the one that is sampled."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

NOT_FINITE = "the policy's logits are not finite: training diverged; lower the learning rate or raise β"


def likeliest(probabilities: Float[Tensor, "R V"], top_k: int, top_p: float) -> Float[Tensor, "R V"]:
    """Return the probabilities with 0 for all but the `top_k` likeliest (0: all) and, of these, the nucleus `top_p`.

    The nucleus is the fewest tokens, likeliest first, whose share of what is left reaches `top_p`. Rows no longer sum
    to 1. Source: https://arxiv.org/abs/1904.09751

    >>> likeliest(torch.tensor([[0.5, 0.25, 0.125, 0.125]]), 0, 0.6)
    tensor([[0.5000, 0.2500, 0.0000, 0.0000]])
    >>> likeliest(torch.tensor([[0.5, 0.25, 0.125, 0.125]]), 1, 1.0)
    tensor([[0.5000, 0.0000, 0.0000, 0.0000]])
    """
    if top_k == 0 and top_p == 1:
        return probabilities
    ordered, ids = probabilities.sort(dim=-1, descending=True, stable=True)
    if top_k > 0:
        ordered[:, top_k:] = 0.0
    before = ordered.cumsum(-1) - ordered
    ordered = torch.where(before < top_p * ordered.sum(-1, keepdim=True), ordered, torch.zeros_like(ordered))
    return torch.zeros_like(probabilities).scatter(-1, ids, ordered)


def draw(probabilities: Float[Tensor, "R V"], chances: Float[Tensor, " R"]) -> Int[Tensor, " R"]:
    """Return one index for each row: the first at which the cumulated probability exceeds the row's chance, in [0, 1).

    Rows need not sum to exactly 1; an index of probability 0 is never drawn. Much faster than `torch.multinomial`,
    which draws a random number for every entry.

    >>> draw(torch.tensor([[0.0, 1.0, 0.0], [0.25, 0.0, 0.75]]), torch.tensor([0.5, 0.25]))
    tensor([1, 2])
    """
    cumulated = probabilities.cumsum(-1, dtype=torch.float64)
    return torch.searchsorted(cumulated, chances.double()[:, None] * cumulated[:, -1:], right=True)[:, 0]
