"""A pass over packed tokens as two compiled calls, one forward and one backward: no Python between their operations."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.engine.lean.alltokens import read_all
from workbench.engine.lean.backward import Adapter, LayerAdapters, gradients
from workbench.engine.lean.compiled import compiled
from workbench.engine.lean.forward import SCORES_AT_ONCE, states
from workbench.engine.lean.moves import moves, num_scores
from workbench.engine.lean.packed import Packed
from workbench.engine.lean.products import in_pairs, products, turns
from workbench.engine.lean.weights import LeanWeights, Projection


class WholePass:
    """`states` with the weights as they are when it is made. Their adapter must be folded into them, or off.

    `is_used` says whether any batch was short enough: in a long one's the attention's scores could not all be held.
    """

    is_used = False

    @torch.no_grad()
    def __init__(self, weights: LeanWeights) -> None:
        self._weights, self._products = weights, products(weights)
        self._adapters = _adapters(weights)
        self._read_all, self._gradients = compiled(read_all), compiled(gradients)

    def __call__(self, packed: Packed) -> Float[Tensor, "M I"]:
        """Return the final state, after the last norm, that predicts each completion token."""
        if num_scores(packed, self._weights.num_heads) > SCORES_AT_ONCE:
            return states(self._weights, packed)
        if torch.is_grad_enabled() and self._adapters:
            return _States.apply(self, packed, *_trained(self._weights))  # type: ignore[return-value] - apply is untyped
        return self.read(packed, keeps=False)[0]

    def read(self, packed: Packed, *, keeps: bool) -> tuple[Float[Tensor, "M I"], Any]:
        """Return the states, and what `gradients` needs of the pass: nothing unless `keeps`."""
        self.is_used = True
        weights = self._weights
        num_turned = weights.num_heads + weights.num_key_value_heads
        turn = turns(weights, torch.arange(packed.num_positions))[:, :num_turned].index_select(0, packed.positions)
        where = moves(packed, weights.num_heads, weights.num_key_value_heads)
        read, kept = self._read_all(self._products, packed.token_ids, turn, where, keeps)
        return read.index_select(0, packed.source), (turn, where, kept) if keeps else None

    def gradients(self, kept: Any, gradient: Float[Tensor, "N I"]) -> Sequence[Tensor]:
        """Return the gradients of all A and B, in the order of `_trained`, from that towards every token's state."""
        turn, where, of_layers = kept
        return self._gradients(self._products, self._adapters, turn, where, of_layers, gradient)


class _States(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, whole: WholePass, packed: Packed, *trained: Tensor) -> Tensor:
        found, ctx.kept = whole.read(packed, keeps=True)
        ctx.whole, ctx.packed = whole, packed
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        to_read = gradient.new_zeros(len(ctx.packed.token_ids), gradient.shape[1])
        to_read.index_add_(0, ctx.packed.source, gradient)
        return (None, None, *ctx.whole.gradients(ctx.kept, to_read))


def _projections(weights: LeanWeights) -> Sequence[tuple[Projection, Tensor | None, int]]:
    """Return each product with the norm before it, and how many of its layers are queries' and keys'."""
    return [
        projection
        for layer in weights.layers
        for projection in (
            (layer.qkv, layer.attention_norm, 2),
            (layer.out, None, 0),
            (layer.gate_up, layer.mlp_norm, 0),
            (layer.down, None, 0),
        )
    ]


def _trained(weights: LeanWeights) -> Sequence[Tensor]:
    both = ((projection.a, *projection.bs) for projection, _, _ in _projections(weights))
    return [tensor for of_projection in both for tensor in of_projection if tensor is not None]


def _adapters(weights: LeanWeights) -> list[LayerAdapters]:
    """Return the layers' adapters as `gradients` takes them; none where they are off."""
    found = [_adapter(*one, weights.head_dim) for one in _projections(weights) if one[0].a is not None]
    return [LayerAdapters(*found[i : i + 4]) for i in range(0, len(found), 4)]


def _adapter(projection: Projection, norm: Tensor | None, num_paired: int, head_dim: int) -> Adapter:
    assert projection.a is not None
    scale = torch.full_like(projection.a[0], projection.scaling)
    if norm is not None:
        scale = scale * norm
    order = in_pairs(head_dim)
    bs = [
        b.detach().unflatten(0, (-1, head_dim))[:, order].flatten(0, 1) if i < num_paired else b.detach()
        for i, b in enumerate(projection.bs)
    ]
    return Adapter(projection.a.detach() * scale, bs, scale, num_paired, head_dim)
