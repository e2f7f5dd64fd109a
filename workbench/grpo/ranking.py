r"""Learning a reward from rankings: which completion of a group is better, and how well a model can tell."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Real
from torch import Tensor

from workbench.grpo.advantages import centred, grouped, in_dtype_of


def ranked_pairs(rewards: Real[Tensor, " B"], num_generations: int) -> Int[Tensor, "N 2"]:
    r"""Return all pairs $(w, l)$ of completions of one group with $r_w > r_l$, as indices into the batch.

    Equal rewards make no pair, and neither does a NaN, which stands for a completion that nothing could score.
    A group of G completions with distinct rewards makes $G (G - 1) / 2$ pairs. Raises ValueError if B is no multiple of
    `num_generations`.

    >>> ranked_pairs(torch.tensor([1.0, 0.0, 0.0, 0.5, 0.5, 0.7]), 3).tolist()
    [[0, 1], [0, 2], [5, 3], [5, 4]]
    """
    rewards_PG = grouped(rewards, num_generations, at_least=1)
    group, better, worse = (rewards_PG[:, :, None] > rewards_PG[:, None, :]).nonzero(as_tuple=True)
    return torch.stack([group * num_generations + better, group * num_generations + worse], dim=1)


def bradley_terry_loss(chosen: Float[Tensor, " N"], rejected: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    r"""Return each pair's $-\log \sigma(s_w - s_l)$: what the better completion's score says of its winning.

    Unit: nats. log 2 where the model cannot tell; only differences count, so scores have no zero of their own.
    Source: Bradley & Terry (1952), in the form of InstructGPT, https://arxiv.org/abs/2203.02155

    >>> bradley_terry_loss(torch.tensor([0.0, 1.0, 0.0]), torch.tensor([0.0, 0.0, 1.0]))
    tensor([0.6931, 0.3133, 1.3133])
    """
    return -F.logsigmoid(chosen - rejected)


def pair_accuracy(chosen: Float[Tensor, " N"], rejected: Float[Tensor, " N"]) -> Float[Tensor, ""]:
    r"""Return the share of pairs whose better completion has the higher score; NaN without a pair.

    A tie counts half, as in the area under the ROC curve: a model that says the same of everything has 0.5.

    >>> pair_accuracy(torch.tensor([2.0, 1.0, 0.0, 1.0]), torch.tensor([1.0, 1.0, 1.0, 0.0]))
    tensor(0.6250)
    """
    return ((chosen - rejected).sign() + 1).mean() / 2


def correlation(first: Real[Tensor, " N"], second: Real[Tensor, " N"]) -> Float[Tensor, ""]:
    r"""Return Pearson's $\sum (a_i - \bar a)(b_i - \bar b) / (\lVert a - \bar a \rVert \lVert b - \bar b \rVert)$.

    NaN where either is constant. Entries of which one is NaN are left out. Computed in float64.

    >>> correlation(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 4.0, 9.0]))
    tensor(0.9707)
    """
    known = ~(first.isnan() | second.isnan())
    a, b = centred(torch.stack([first[known].double(), second[known].double()]))
    return in_dtype_of(first, (a * b).sum() / (a.norm() * b.norm()))
