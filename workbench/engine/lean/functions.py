"""The layers' arithmetic with gradients written by hand: fewer passes over the activations than autograd would make.

The small functions below take the gradient's way only where one is wanted; the numbers are the same both ways, so that
a policy that has not moved has a KL of exactly 0 to its reference.
"""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def normed(x: Float[Tensor, "*N I"], weight: Float[Tensor, " I"], eps: float) -> Float[Tensor, "*N I"]:
    r"""Return w·x/√(mean(x²) + ε), the mean over the last dimension. Source: https://arxiv.org/abs/1910.07467"""
    if x.is_cuda:
        return F.rms_norm(x, weight.shape, weight, eps)  # there it is one kernel, and so is its gradient
    if torch.is_grad_enabled():
        return _Normed.apply(x, weight, eps)  # type: ignore[return-value] - apply is untyped
    return _norm(x, weight, eps)[0]


def gated_silu(gate_up: Float[Tensor, "N W"]) -> Float[Tensor, "N M"]:
    """Return silu(gate)·up, for gate and up side by side. Source: SwiGLU, https://arxiv.org/abs/2002.05202"""
    if torch.is_grad_enabled():
        return _GatedSilu.apply(gate_up)  # type: ignore[return-value] - apply is untyped
    return _gate(gate_up)


def rotated(
    qkv: Float[Tensor, "N A D"], cos: Float[Tensor, "_ 1 D"], sin: Float[Tensor, "_ 1 D"], num_heads: int, num_kv: int
) -> tuple[Float[Tensor, "N H D"], Float[Tensor, "N K D"], Float[Tensor, "N K D"]]:
    """Return queries and keys, turned by their token's position, and values. The first half of `sin` is negated.

    Source: RoPE, https://arxiv.org/abs/2104.09864
    """
    if torch.is_grad_enabled():
        return _Rotated.apply(qkv, cos, sin, num_heads, num_kv)  # type: ignore[return-value] - apply is untyped
    turned = _rotate(qkv[:, : num_heads + num_kv], cos, sin)
    return turned[:, :num_heads], turned[:, num_heads:], qkv[:, num_heads + num_kv :]


class FoldedLinear(torch.autograd.Function):
    """x·(W + s·B·A)ᵀ with the sum given as `weight`; the gradient goes straight to A and B, never through the sum.

    Several layers that read the same x are one: `weight` and `bias` are theirs one below the other, `a` [k·r, in] are
    all their A, and `bs` their B. Per token the gradient costs 2·r·(in + out) products beside the 2·in·out of x's own;
    that of the whole sum would cost in·out more. Source: LoRA, https://arxiv.org/abs/2106.09685
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Float[Tensor, "N I"],
        weight: Float[Tensor, "O I"],
        bias: Float[Tensor, " O"] | None,
        scaling: float,
        a: Float[Tensor, "K I"],
        *bs: Float[Tensor, "_ R"],
    ) -> Float[Tensor, "N O"]:
        ctx.save_for_backward(x, weight, a, *bs)
        ctx.scaling = scaling
        return F.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        x, weight, a, *bs = ctx.saved_tensors
        parts = gradient.split([len(b) for b in bs], dim=1)
        # few rows and many columns: on a CPU several times faster than the same product the other way round
        through_a = (a @ x.t()).mul_(ctx.scaling).split([b.shape[1] for b in bs])
        # in their weights' own layout: the fused optimizer reads memory as it lies
        to_bs = [(seen @ part).t().contiguous() for part, seen in zip(parts, through_a, strict=True)]
        through_b = torch.cat([b.t() @ part.t() for part, b in zip(parts, bs, strict=True)])
        to_a = (through_b @ x).mul_(ctx.scaling)
        to_x = gradient @ weight if ctx.needs_input_grad[0] else None
        return (to_x, None, None, None, to_a, *to_bs)


class _Normed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Float[Tensor, "*N I"], weight: Float[Tensor, " I"], eps: float) -> Float[Tensor, "*N I"]:
        result, scale = _norm(x, weight, eps)
        ctx.save_for_backward(x, weight, scale)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, scale = ctx.saved_tensors
        wide, gradient = _wide(x), _wide(gradients[0] * weight)
        along = (gradient * wide).sum(-1, keepdim=True).mul_(scale**3).div_(x.shape[-1])
        return gradient.mul_(scale).addcmul_(wide, along, value=-1).to(x.dtype), None, None


def _norm(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Return the result, and what each row was multiplied by, in float32 or better."""
    wide = _wide(x)
    length = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
    scale = torch.addcmul(_number(eps, x.device), length, length, value=1 / x.shape[-1]).rsqrt_()
    result = wide * scale
    return (result if result.dtype == x.dtype else result.to(x.dtype)).mul_(weight), scale


@cache
def _number(value: float, device: torch.device) -> Tensor:
    return torch.tensor(value, device=device)


def _wide(x: Tensor) -> Tensor:
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


class _GatedSilu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate_up: Float[Tensor, "N W"]) -> Float[Tensor, "N M"]:
        gate, up = gate_up.chunk(2, dim=-1)
        opened = F.silu(gate)
        ctx.save_for_backward(gate_up, opened)
        return opened * up

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (gradient,) = gradients
        gate_up, opened = ctx.saved_tensors
        gate, up = gate_up.chunk(2, dim=-1)
        both = torch.empty_like(gate_up)
        to_gate, to_up = both.chunk(2, dim=-1)
        torch.mul(gradient, opened, out=to_up)
        torch.ops.aten.silu_backward.grad_input(gradient * up, gate, grad_input=to_gate)
        return both


def _gate(gate_up: Tensor) -> Tensor:
    half = gate_up.shape[-1] // 2
    return F.silu(gate_up[..., :half]).mul_(gate_up[..., half:])


class _Rotated(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        qkv: Float[Tensor, "N A D"],
        cos: Float[Tensor, "_ 1 D"],
        sin: Float[Tensor, "_ 1 D"],
        num_heads: int,
        num_kv: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.save_for_backward(cos, sin)
        ctx.num_heads, ctx.num_kv = num_heads, num_kv
        turned = _rotate(qkv[:, : num_heads + num_kv], cos, sin)
        return turned[:, :num_heads].clone(), turned[:, num_heads:].clone(), qkv[:, num_heads + num_kv :].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        whole = torch.cat(gradients, dim=1)
        turned = whole[:, : ctx.num_heads + ctx.num_kv]
        turned.copy_(_rotate(turned, cos, -sin))
        return whole, None, None, None, None


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, dims=-1), sin)
