r"""Aggregation as a weight per token: $\text{loss} = \sum_{it} w_{it} \ell_{it}$; what $\ell$ is, `losstypes` says.

The denominators are those of the batch whose mask is given. Take the weights of the whole batch, cut them with its
rows, and the micro-batches add up to the batch exactly. A fully masked row weighs nothing, but still counts among the
B rows (as in TRL).
"""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from workbench.grpo.padding import Mask, as_numbers, num_tokens


def grpo_weights(mask: Mask, max_completion_length: int | None = None) -> Float[Tensor, "B T"]:
    r"""Return $w = 1 / (B\,|o_i|)$: the mean over completions of the mean over their tokens. No length is used.

    A token of a short completion weighs more than one of a long completion: the length bias that Dr. GRPO names.
    Source: DeepSeekMath, https://arxiv.org/abs/2402.03300

    >>> import torch
    >>> grpo_weights(torch.tensor([[1, 1], [1, 0]]))
    tensor([[0.2500, 0.2500],
            [0.5000, 0.0000]])
    """
    return as_numbers(mask) / (num_tokens(mask) * len(mask))


def bnpo_weights(mask: Mask, max_completion_length: int | None = None) -> Float[Tensor, "B T"]:
    r"""Return $w = 1 / \sum_i |o_i|$: the mean over all tokens of *this* mask. No length is used.

    The formula of `dapo_weights`. TRL's "bnpo" takes it per micro-batch and averages the micro-batches, so there the
    weights depend on the split; give it the mask of the whole batch and the two are one.
    Source: TRL 1.16, https://huggingface.co/docs/trl/grpo_trainer

    >>> import torch
    >>> bnpo_weights(torch.tensor([[1, 1, 1], [1, 0, 0]]))
    tensor([[0.2500, 0.2500, 0.2500],
            [0.2500, 0.0000, 0.0000]])
    """
    return as_numbers(mask) / num_tokens(mask.reshape(1, -1))


def dapo_weights(mask: Mask, max_completion_length: int | None = None) -> Float[Tensor, "B T"]:
    r"""Return $w = 1 / \sum_i |o_i|$: every token of the whole batch weighs the same. No length is used.

    Source: DAPO, https://arxiv.org/abs/2503.14476

    >>> import torch
    >>> dapo_weights(torch.tensor([[1, 1, 1], [1, 0, 0]]))
    tensor([[0.2500, 0.2500, 0.2500],
            [0.2500, 0.0000, 0.0000]])
    """
    return as_numbers(mask) / num_tokens(mask.reshape(1, -1))


def dr_grpo_weights(mask: Mask, max_completion_length: int | None = None) -> Float[Tensor, "B T"]:
    r"""Return $w = 1 / (B\,L_{\max})$, the *configured* longest completion, not the longest of this batch.

    Raises ValueError if `max_completion_length` is None or not above 0.
    Source: Dr. GRPO, https://arxiv.org/abs/2503.20783

    >>> import torch
    >>> dr_grpo_weights(torch.tensor([[1, 1], [1, 0]]), max_completion_length=4)
    tensor([[0.1250, 0.1250],
            [0.1250, 0.0000]])
    """
    if max_completion_length is None:
        raise ValueError("loss_type='dr_grpo' divides by max_completion_length, which is None: give it a length")
    if max_completion_length <= 0:
        raise ValueError(
            f"max_completion_length={max_completion_length} is not a length: loss_type='dr_grpo' divides by it"
        )
    return as_numbers(mask) / (len(mask) * max_completion_length)


def luspo_weights(mask: Mask, max_completion_length: int | None = None) -> Float[Tensor, "B T"]:
    r"""Return $w = 1 / B$: the mean over completions of the *sum* over their tokens. No length is used.

    Meant for the sequence ratio, whose term is the same on all tokens: a completion then weighs its length times that.
    Source: LUSPO, https://arxiv.org/abs/2602.05261

    >>> import torch
    >>> luspo_weights(torch.tensor([[1, 1], [1, 0]]))
    tensor([[0.5000, 0.5000],
            [0.5000, 0.0000]])
    """
    return as_numbers(mask) / len(mask)


WEIGHTS: dict[str, Callable[..., Tensor]] = {
    "grpo": grpo_weights,
    "bnpo": bnpo_weights,
    "dr_grpo": dr_grpo_weights,
    "dapo": dapo_weights,
    "cispo": dapo_weights,
    "sapo": grpo_weights,
    "luspo": luspo_weights,
    "vespo": dapo_weights,
    "online": grpo_weights,
}
LOSS_TYPES = tuple(WEIGHTS)
CLIPPED_LOSS_TYPES = ("grpo", "bnpo", "dr_grpo", "dapo", "luspo")  # by PPO's clip; they differ in their weights alone


def check_loss_type(loss_type: str) -> None:
    """Raise ValueError unless the loss type is in `LOSS_TYPES`."""
    if loss_type not in WEIGHTS:
        raise ValueError(f"loss_type={loss_type!r} is none of {', '.join(WEIGHTS)}")


def check_is_clipped(loss_type: str) -> None:
    """Raise ValueError if the loss type has no clip to measure, or is none at all."""
    check_loss_type(loss_type)
    if loss_type not in CLIPPED_LOSS_TYPES:
        raise ValueError(
            f"loss_type={loss_type!r} has no clip_ratio, for it clips no gradient: "
            f"the loss types that do are {', '.join(CLIPPED_LOSS_TYPES)}"
        )


def token_weights(loss_type: str, mask: Mask, max_completion_length: int | None = None) -> Float[Tensor, "B T"]:
    """Return the weights of a loss type by its name. Raises ValueError if there is none of that name.

    >>> import torch
    >>> token_weights("dapo", torch.tensor([[1, 1]]))
    tensor([[0.5000, 0.5000]])
    """
    check_loss_type(loss_type)
    return WEIGHTS[loss_type](mask, max_completion_length)
