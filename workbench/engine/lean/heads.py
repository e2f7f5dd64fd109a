"""What a layer does before its attention: norm, one product for queries, keys and values, the turn by position."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.engine.lean.functions import normed, rotated
from workbench.engine.lean.weights import LeanLayer, LeanWeights


@dataclass(frozen=True, eq=False)
class Angles:
    """Cosine and sine of each position's angles. The first half of the sines is negated, as `rotated` wants it."""

    cos: Float[Tensor, "N 1 D"]
    sin: Float[Tensor, "N 1 D"]

    @classmethod
    def of(cls, weights: LeanWeights, positions: Int[Tensor, " N"]) -> "Angles":
        cos, sin = (table[0, :, None] for table in weights.rotary(weights.embedding[:1], positions[None]))
        first, second = sin.chunk(2, dim=-1)
        return cls(cos, torch.cat([-first, second], dim=-1))

    def at(self, rows: Int[Tensor, " n"] | slice) -> "Angles":
        return Angles(self.cos[rows], self.sin[rows])


def heads(
    x: Float[Tensor, "N I"], layer: LeanLayer, weights: LeanWeights, angles: Angles
) -> tuple[Float[Tensor, "N H D"], Float[Tensor, "N K D"], Float[Tensor, "N K D"]]:
    """Return the layer's queries and keys, turned, and its values."""
    queries, both = weights.num_heads, weights.num_heads + weights.num_key_value_heads
    qkv = layer.qkv(normed(x, layer.attention_norm, weights.eps)).view(len(x), -1, weights.head_dim)
    if layer.query_norm is not None and layer.key_norm is not None:
        q = normed(qkv[:, :queries], layer.query_norm, weights.eps)
        k = normed(qkv[:, queries:both], layer.key_norm, weights.eps)
        qkv = torch.cat([q, k, qkv[:, both:]], dim=1)
    return rotated(qkv, angles.cos, angles.sin, queries, weights.num_key_value_heads)
