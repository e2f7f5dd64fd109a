r"""Three estimators of $\mathrm{KL}(\pi \| \pi_{\text{ref}})$ from one sampled token, in nats, and their slopes.

With $d = \log \pi_{\text{ref}} - \log \pi$ at a token drawn from $\pi$. "Unbiased" speaks of the *value*; as a loss,
each pulls where its own slope says, averaged over tokens drawn from $\pi$:

| estimator | value | mean under $\pi$ | never negative | the gradient of the loss is, on average |
|---|---|---|---|---|
| k1 | $-d$ | the KL | no | zero: it pulls nowhere |
| k2 | $d^2 / 2$ | biased | yes | that of $\mathrm{KL}(\pi \| \pi_{\text{ref}})$, the reverse KL |
| k3 | $e^d - 1 - d$ | the KL | yes | that of $\mathrm{KL}(\pi_{\text{ref}} \| \pi)$, the forward KL |

Multiplied by the importance ratio (`use_bias_correction_kl`), k1 and k3 too pull along the reverse KL, and stay right
when the policy has moved since it sampled. Every line of the table is proved in the tests by enumeration on a small
softmax.
Source: http://joschu.net/blog/kl-approx.html; k3 in GRPO: DeepSeekMath, https://arxiv.org/abs/2402.03300
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor


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


def check_estimator(kl_estimator: str) -> None:
    """Raise ValueError unless the estimator is in `KL_ESTIMATORS`."""
    if kl_estimator not in KL_ESTIMATORS:
        raise ValueError(f"kl_estimator={kl_estimator!r} is none of {', '.join(KL_ESTIMATORS)}")
