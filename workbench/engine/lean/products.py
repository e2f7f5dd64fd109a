"""The weights as TorchScript's functions take them, and what these have in common. Shapes are in the comments."""

from dataclasses import replace
from typing import NamedTuple, no_type_check

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from workbench.engine.lean.heads import Angles
from workbench.engine.lean.weights import LeanWeights, Projection


class Product(NamedTuple):
    """A linear layer."""

    weight: Tensor  # [I, O]
    bias: Tensor | None  # [O]


class LayerProducts(NamedTuple):
    """A layer's weights, the norm before each product multiplied into it."""

    qkv: Product
    head_norm: Tensor | None  # [H + K, D], Qwen3's, of queries and keys
    out: Product
    gate_up: Product
    down: Product


class Products(NamedTuple):
    """All weights of a model. A query's and a key's numbers that are turned together are neighbours."""

    layers: list[LayerProducts]
    embedding: Tensor  # [V, I]
    final_norm: Tensor  # [I]
    head: Product  # the last norm multiplied in
    eps: Tensor  # a number
    num_heads: int
    num_kv: int


def products(weights: LeanWeights, *, for_few_rows: bool = False) -> Products:
    """Return the weights as TorchScript's functions take them. An adapter must be folded into them, or off.

    With `for_few_rows` each is transposed in memory too: products with few rows are sooner done, others are not.
    """
    num_turned = weights.num_heads + weights.num_key_value_heads
    order = torch.arange(len(weights.layers[0].qkv.weight)).view(-1, weights.head_dim)
    order[:num_turned] = order[:num_turned, in_pairs(weights.head_dim)]
    found = Products(
        layers=[
            LayerProducts(
                qkv=_product(_reordered(layer.qkv, order.flatten()), layer.attention_norm),
                head_norm=_head_norm(weights, layer.query_norm, layer.key_norm),
                out=_product(layer.out),
                gate_up=_product(layer.gate_up, layer.mlp_norm),
                down=_product(layer.down),
            )
            for layer in weights.layers
        ],
        embedding=weights.embedding,
        final_norm=weights.final_norm,
        head=Product((weights.head * weights.final_norm).t(), None),
        eps=torch.tensor(weights.eps, dtype=weights.embedding.dtype),
        num_heads=weights.num_heads,
        num_kv=weights.num_key_value_heads,
    )
    return _transposed(found) if for_few_rows else found


def turns(weights: LeanWeights, positions: Int[Tensor, " N"]) -> Complex[Tensor, "N A D"]:
    """Return what each pair of numbers is multiplied by, as one complex number, at each position.

    A query's are also divided by the root of its length, as its products with the keys must be; a value's stay.
    """
    angles = Angles.of(weights, positions)
    half = weights.head_dim // 2
    turn = torch.complex(angles.cos[..., half:], angles.sin[..., half:])
    of_queries = (turn * weights.head_dim**-0.5).expand(-1, weights.num_heads, -1)
    of_keys = turn.expand(-1, weights.num_key_value_heads, -1)
    return torch.cat([of_queries, of_keys, torch.ones_like(of_keys)], dim=1)


def in_pairs(width: int) -> Int[Tensor, " D"]:
    """Return the order in which the two numbers that are turned together, half the width apart, are neighbours.

    >>> in_pairs(6)
    tensor([0, 3, 1, 4, 2, 5])
    """
    return torch.arange(width).view(2, -1).t().flatten()


def _product(projection: Projection, norm: Tensor | None = None) -> Product:
    weight = projection.weight if norm is None else projection.weight * norm
    return Product(weight.t(), projection.bias)


def _transposed(found: Products) -> Products:
    def of(product: Product) -> Product:
        return product._replace(weight=product.weight.contiguous())

    layers = [
        layer._replace(qkv=of(layer.qkv), out=of(layer.out), gate_up=of(layer.gate_up), down=of(layer.down))
        for layer in found.layers
    ]
    return found._replace(layers=layers, head=of(found.head))


def _reordered(projection: Projection, order: Int[Tensor, " O"]) -> Projection:
    bias = None if projection.bias is None else projection.bias[order]
    return replace(projection, weight=projection.weight[order], bias=bias)


def _head_norm(
    weights: LeanWeights, query_norm: Float[Tensor, " D"] | None, key_norm: Float[Tensor, " D"] | None
) -> Float[Tensor, "A D"] | None:
    if query_norm is None or key_norm is None:
        return None
    counts = torch.tensor([weights.num_heads, weights.num_key_value_heads])
    return torch.stack([query_norm, key_norm])[:, in_pairs(len(query_norm))].repeat_interleave(counts, dim=0)


@no_type_check  # TorchScript reads the annotations, and these are all that it knows
def linear(x: Tensor, product: Product) -> Tensor:
    bias = product.bias
    return torch.mm(x, product.weight) if bias is None else torch.addmm(bias, x, product.weight)


@no_type_check
def add(x: Tensor, y: Tensor, product: Product) -> None:
    """Add the product with y to x, in place: of `addmm` TorchScript would make two operations."""
    bias = product.bias
    x.addmm_(y, product.weight)
    if bias is not None:
        x.add_(bias)


@no_type_check
def normalizer(x: Tensor, eps: Tensor) -> Tensor:
    """Return 1/√(mean(x²) + ε), the mean over the last dimension, which stays as one of length 1."""
    length = torch.linalg.vector_norm(x, 2.0, [-1], True)
    return torch.addcmul(eps, length, length, value=1.0 / x.shape[-1]).rsqrt_()
