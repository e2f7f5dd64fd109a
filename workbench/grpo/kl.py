r"""$\mathrm{KL}(\pi \| \pi_{\text{ref}})$ in nats: three estimates from one sampled token, their slopes, the exact one.

With $d = \log \pi_{\text{ref}} - \log \pi$ at a token drawn from $\pi$. "Unbiased" speaks of the *value*; as a loss,
each pulls where its own slope says, averaged over tokens drawn from $\pi$:

| estimator | value | mean under $\pi$ | never negative | the gradient of the loss is, on average |
|---|---|---|---|---|
| k1 | $-d$ | the KL | no | zero: it pulls nowhere |
| k2 | $d^2 / 2$ | biased | yes | that of $\mathrm{KL}(\pi \| \pi_{\text{ref}})$, the reverse KL |
| k3 | $e^d - 1 - d$ | the KL | yes | that of $\mathrm{KL}(\pi_{\text{ref}} \| \pi)$, the forward KL |

The exact KL, a sum over the vocabulary, is what they estimate: it needs the logits of both models, and as a loss it
pulls along the reverse KL. Multiplied by the importance ratio (`use_bias_correction_kl`), k1 and k3 too pull along the
reverse KL, and stay right when the policy has moved since it sampled. Every line of the table is proved in the tests by
enumeration on a small softmax.
Source: http://joschu.net/blog/kl-approx.html; k3 in GRPO: DeepSeekMath, https://arxiv.org/abs/2402.03300
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.grpo.logprobs import tempered


def kl_k1(logps: Float[Tensor, "*shape"], ref_logps: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Return $\log \pi - \log \pi_{\text{ref}}$. Nats. Unbiased, often negative, noisy; no use as a loss.

    >>> kl_k1(torch.tensor([-1.0]), torch.tensor([-3.0]))
    tensor([2.])
    """
    return logps - ref_logps


def kl_k2(logps: Float[Tensor, "*shape"], ref_logps: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Return $\tfrac12 (\log \pi - \log \pi_{\text{ref}})^2$. Nats, to second order. Biased, never negative.

    >>> kl_k2(torch.tensor([-1.0]), torch.tensor([-3.0]))
    tensor([2.])
    """
    return (logps - ref_logps).square() / 2


def kl_k3(logps: Float[Tensor, "*shape"], ref_logps: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Return $e^d - 1 - d$ with $d = \log \pi_{\text{ref}} - \log \pi$. Nats. Unbiased, never negative.

    Written `expm1(d) - d`, for `exp(d) - d - 1` goes negative in float32 near 0. Grows as $e^d$: one token that the
    reference likes far better than the policy can outweigh all others.

    >>> kl_k3(torch.tensor([-1.0]), torch.tensor([-3.0]))  # e^-2 - 1 + 2
    tensor([1.1353])
    """
    d = ref_logps - logps
    return torch.expm1(d) - d


def slope_k1(logps: Float[Tensor, "*shape"], ref_logps: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Return $\partial k_1 / \partial \log \pi = 1$: the same push on every token, whatever the reference says.

    >>> slope_k1(torch.tensor([-1.0]), torch.tensor([-3.0]))
    tensor([1.])
    """
    return torch.ones_like(logps - ref_logps)


def slope_k2(logps: Float[Tensor, "*shape"], ref_logps: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Return $\partial k_2 / \partial \log \pi = \log \pi - \log \pi_{\text{ref}}$.

    >>> slope_k2(torch.tensor([-1.0]), torch.tensor([-3.0]))
    tensor([2.])
    """
    return logps - ref_logps


def slope_k3(logps: Float[Tensor, "*shape"], ref_logps: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Return $\partial k_3 / \partial \log \pi = 1 - \pi_{\text{ref}} / \pi$: at most 1 down, without bound up.

    >>> slope_k3(torch.tensor([-1.0]), torch.tensor([-3.0]))  # 1 - e^-2
    tensor([0.8647])
    """
    return -torch.expm1(ref_logps - logps)


KL_ESTIMATORS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"k1": kl_k1, "k2": kl_k2, "k3": kl_k3}
KL_SLOPES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"k1": slope_k1, "k2": slope_k2, "k3": slope_k3}
KL_NAMES = (*KL_ESTIMATORS, "exact")


def exact_kl(
    logits: Float[Tensor, "*shape V"], ref_logits: Float[Tensor, "*shape V"], temperature: float = 1.0
) -> Float[Tensor, "*shape"]:
    r"""Return $\sum_v \pi_v (\log \pi_v - \log \pi_{\text{ref},v})$ over the whole vocabulary. Nats.

    Both softmaxes are at the temperature, in float32 or better. The gradient flows to `logits` alone. A token that the
    policy forbids (logit -inf) adds 0; one that only the reference forbids makes the KL infinite, as it is. The
    rounding of the sum may leave a value just below 0. Raises ValueError if the temperature is not above 0.

    >>> exact_kl(torch.tensor([0.5, 0.5]).log(), torch.tensor([0.25, 0.75]).log())  # (log 2 + log 2/3) / 2
    tensor(0.1438)
    """
    logps = tempered(logits, temperature).log_softmax(dim=-1)
    ref_logps = tempered(ref_logits.detach(), temperature).log_softmax(dim=-1)
    probabilities = logps.exp()
    difference = torch.where(probabilities > 0, logps - ref_logps, torch.zeros_like(logps))
    return (probabilities * difference).sum(dim=-1)


def check_estimator(kl_estimator: str) -> None:
    """Raise ValueError unless the estimator is in `KL_NAMES`."""
    if kl_estimator not in KL_NAMES:
        raise ValueError(f"kl_estimator={kl_estimator!r} is none of {', '.join(KL_NAMES)}")


def kl_term(
    logps: Float[Tensor, "B T"],
    ref_logps: Float[Tensor, "B T"] | None,
    ratio: Float[Tensor, "B T"],
    kl_estimator: str,
    use_bias_correction_kl: bool,
    exact_kl: Float[Tensor, "B T"] | None = None,
) -> Float[Tensor, "B T"]:
    """Return each token's KL, times its ratio if bias-corrected (gradient through both); 0 where nothing tells it.

    The estimators need `ref_logps`; "exact" needs `exact_kl`, and returns it.

    >>> kl_term(torch.tensor([[-1.0]]), torch.tensor([[-3.0]]), torch.tensor([[1.5]]), "k1", True)
    tensor([[3.]])
    """
    check_estimator(kl_estimator)
    if kl_estimator == "exact":
        return torch.zeros_like(logps) if exact_kl is None else exact_kl
    if ref_logps is None:
        return torch.zeros_like(logps)
    kl = KL_ESTIMATORS[kl_estimator](logps, ref_logps)
    return kl * ratio if use_bias_correction_kl else kl
