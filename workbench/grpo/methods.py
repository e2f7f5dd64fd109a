r"""DeepSeekMath's unified view: the methods differ in where the data come from, what rewards, and the coefficient.

The gradient of every one of them is $\sum_{it} c_{it} \nabla \log \pi(o_{it})$, and only
$c_{it} = -\partial\,\text{loss} / \partial \log \pi(o_{it})$ is its own. With the weight w of the token in the loss and
its importance ratio r:

| method | completions | what rewards | coefficient c | source |
|---|---|---|---|---|
| sft | demonstrations | nothing | $w$ | arXiv 2402.03300 |
| rft | of the first policy | right or wrong | $w$ if right, else 0 | arXiv 2308.01825 |
| online_rft | of the policy as it is | right or wrong | $w$ if right, else 0 | arXiv 2402.03300 |
| dpo | best and worst of a group | which is better | $\pm (\beta / N)\, \sigma(-m)$, m the margin | 2305.18290 |
| ppo | of the policy as it is | a score, spread by a critic | $w\, r A_t$, 0 where clipped | arXiv 1707.06347 |
| grpo | of the policy as it is | a score, in the group | $w (r A + \beta (\pi_{ref} / \pi - 1))$ | 2402.03300 |

Source: DeepSeekMath, section 5.2, https://arxiv.org/abs/2402.03300
"""

from typing import Any

from jaxtyping import Float
from torch import Tensor

from workbench.grpo.coefficients import gradient_coefficient, gradient_parts
from workbench.grpo.likelihood import likelihood_loss
from workbench.grpo.loss import grpo_loss
from workbench.grpo.padding import Mask
from workbench.grpo.preference import dpo_loss

METHODS = ("sft", "rft", "online_rft", "dpo", "ppo", "grpo")


def policy_gradient_coefficient(
    logps: Float[Tensor, "B T"],
    old_logps: Float[Tensor, "B T"],
    ref_logps: Float[Tensor, "B T"] | None,
    advantages: Float[Tensor, " B"] | Float[Tensor, "B T"],
    mask: Mask,
    **options: Any,
) -> Float[Tensor, "B T"]:
    """Return the coefficients of `grpo_loss`, which is PPO's too: there a critic made the advantages, by token.

    Takes what `grpo_loss` takes, and raises as it does.

    >>> import torch
    >>> logps, mask = torch.tensor([[-1.0, -1.0]]), torch.ones(1, 2)
    >>> policy_gradient_coefficient(logps, logps, None, torch.tensor([3.0]), mask)
    tensor([[1.5000, 1.5000]])
    """
    terms = grpo_loss(logps, old_logps, ref_logps, advantages, mask, **options)
    return gradient_coefficient(gradient_parts(terms, logps, ref_logps, advantages, mask, **options))


def method_coefficient(method: str, **batch: Any) -> Float[Tensor, "B T"]:
    r"""Return any method's gradient coefficient per token, $c = -\partial\,\text{loss} / \partial \log \pi$.

    `batch` is what the method's loss takes: `likelihood_loss` for sft (all kept), rft and online_rft, `dpo_loss` for
    dpo, `grpo_loss` for ppo and grpo. Unit: that of the loss per nat. Padding is 0. What is not a function of the
    log-probability of the token that was sampled, the entropy bonus and the exact KL, has no coefficient. Raises
    ValueError if there is no such method, and as the losses do.

    >>> import torch
    >>> logps, mask = torch.tensor([[-1.0, -1.0]]), torch.ones(1, 2)
    >>> kept, weights = torch.tensor([True]), torch.tensor([[0.5, 0.5]])
    >>> method_coefficient("rft", logps=logps, kept=kept, mask=mask, weights=weights)
    tensor([[0.5000, 0.5000]])
    >>> advantages = torch.tensor([-3.0])
    >>> method_coefficient("grpo", logps=logps, old_logps=logps, ref_logps=None, advantages=advantages, mask=mask)
    tensor([[-1.5000, -1.5000]])
    """
    if method not in METHODS:
        raise ValueError(f"method={method!r} is none of {', '.join(METHODS)}")
    if method == "dpo":
        return dpo_loss(**batch).coefficients
    if method in ("ppo", "grpo"):
        return policy_gradient_coefficient(**batch)
    return likelihood_loss(**batch).coefficients
