"""Padding: a position that holds no token must reach neither `exp` nor the gradient."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

# Which positions hold a token: bool, or 0/1 of any dtype. Whatever is not zero counts as a token.
Mask = Shaped[Tensor, "B T"]


def zero_padding(values: Float[Tensor, "B T"], mask: Mask) -> Float[Tensor, "B T"]:
    r"""Return the values with 0 where the mask is 0, in float32 or better (float64 stays, half is upcast).

    Padding may hold anything, NaN and infinities too: it is replaced, not multiplied by zero, so neither the value nor
    the gradient can see it. Do this before `exp`, never after: $0 \cdot \infty$ is NaN.

    Raises ValueError where the shapes differ: one row would silently count as every row.

    >>> zero_padding(torch.tensor([[-1.5, float("nan")]]), torch.tensor([[1, 0]]))
    tensor([[-1.5000,  0.0000]])
    """
    if values.shape != mask.shape:
        raise ValueError(f"a tensor has the shape {list(values.shape)}, and its mask {list(mask.shape)}")
    values = values.to(torch.promote_types(values.dtype, torch.float32))
    return torch.where(mask.bool(), values, torch.zeros_like(values))


def as_numbers(mask: Mask) -> Float[Tensor, "B T"]:
    """Return the mask as 0.0 and 1.0, in float32 unless it was float64.

    >>> as_numbers(torch.tensor([[True, False]]))
    tensor([[1., 0.]])
    """
    return mask.bool().to(torch.promote_types(mask.dtype, torch.float32))


def num_tokens(mask: Mask) -> Float[Tensor, "B 1"]:
    """Return how many tokens each row has, at least 1, as a column. Unit: tokens.

    The floor keeps a fully masked row from dividing by zero; such a row has nothing to divide (TRL does the same).

    >>> num_tokens(torch.tensor([[1, 1, 0], [0, 0, 0]]))
    tensor([[2.],
            [1.]])
    """
    return as_numbers(mask).sum(dim=1, keepdim=True).clamp(min=1.0)
