"""The KL as a penalty on the reward: measured on the sampled tokens, with no gradient of its own."""

from jaxtyping import Float
from torch import Tensor

from workbench.grpo.kl import KL_ESTIMATORS, check_estimator
from workbench.grpo.padding import Mask, zero_padding


def token_kl(
    logps: Float[Tensor, "B T"],
    ref_logps: Float[Tensor, "B T"],
    mask: Mask,
    kl_estimator: str = "k1",
    exact_kl: Float[Tensor, "B T"] | None = None,
) -> Float[Tensor, "B T"]:
    r"""Return each token's KL from the policy that sampled it to the reference, 0 on padding. Nats. No gradient.

    `logps` are those of sampling. k1, the log-ratio itself, is what a reward is penalised by: in a reward its *value*
    acts, which is unbiased, and the policy gradient of the penalised reward is that of reward minus reverse KL. (In the
    loss its *slope* acts, and pulls nowhere.) "exact" returns `exact_kl`. Raises ValueError if there is no such
    estimator, or none was given for "exact".

    >>> import torch
    >>> token_kl(torch.tensor([[-1.0, -9.0]]), torch.tensor([[-3.0, -9.5]]), torch.tensor([[1, 0]]))
    tensor([[2., 0.]])
    """
    check_estimator(kl_estimator)
    if kl_estimator != "exact":
        return KL_ESTIMATORS[kl_estimator](zero_padding(logps.detach(), mask), zero_padding(ref_logps.detach(), mask))
    if exact_kl is None:
        raise ValueError("kl_estimator='exact' sums over the vocabulary, but exact_kl is None")
    return zero_padding(exact_kl.detach(), mask)


def kl_penalty(
    logps: Float[Tensor, "B T"],
    ref_logps: Float[Tensor, "B T"],
    mask: Mask,
    kl_estimator: str = "k1",
    exact_kl: Float[Tensor, "B T"] | None = None,
) -> Float[Tensor, " B"]:
    r"""Return each completion's $\sum_t \mathrm{KL}_t$, to be taken off its reward times beta. Nats. No gradient.

    Summed, not averaged: with k1 it is the log-ratio of the whole completion, and a long one may stray further in all.
    Raises ValueError as `token_kl` does.
    Source: Back to Basics (RLOO), https://arxiv.org/abs/2402.14740; as TRL 1.16's RLOOTrainer, with k1.

    >>> import torch
    >>> kl_penalty(torch.tensor([[-1.0, -2.0]]), torch.tensor([[-3.0, -1.5]]), torch.tensor([[1, 1]]))
    tensor([1.5000])
    """
    return token_kl(logps, ref_logps, mask, kl_estimator, exact_kl).sum(dim=1)
