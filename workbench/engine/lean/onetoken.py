"""One more token for many rows, to be compiled by TorchScript: no Python between its operations.

So parts of a batch can be sampled at the same time: with a Python call for each operation, threads would wait for
Python's lock most of the time. TorchScript knows no shapes: they are in the comments.
"""

from dataclasses import replace
from typing import NamedTuple, no_type_check

import torch
import torch.nn.functional as F
from jaxtyping import Complex, Float, Int
from torch import Tensor

from workbench.engine.lean.heads import Angles
from workbench.engine.lean.weights import LeanWeights, Projection


class Product(NamedTuple):
    """A linear layer. Its weight is transposed in memory: with few rows such a product is sooner done."""

    weight: Tensor  # [I, O]
    bias: Tensor | None  # [O]


class TokenLayer(NamedTuple):
    """A layer's weights, the norm before each product multiplied into it."""

    qkv: Product
    query_norm: Tensor | None  # [D], Qwen3's
    key_norm: Tensor | None
    out: Product
    gate_up: Product
    down: Product


class TokenWeights(NamedTuple):
    """All weights that `read` multiplies by."""

    layers: list[TokenLayer]
    embedding: Tensor  # [V, I]
    head: Product  # the last norm multiplied in
    eps: Tensor  # a number
    num_heads: int
    num_kv: int


def token_weights(weights: LeanWeights) -> TokenWeights:
    """Return the weights as `read` takes them. An adapter must be folded into them, or off."""
    num_turned = weights.num_heads + weights.num_key_value_heads
    order = torch.arange(len(weights.layers[0].qkv.weight)).view(-1, weights.head_dim)
    order[:num_turned] = order[:num_turned, in_pairs(weights.head_dim)]
    return TokenWeights(
        layers=[
            TokenLayer(
                qkv=_product(_reordered(layer.qkv, order.flatten()), layer.attention_norm),
                query_norm=_paired(layer.query_norm),
                key_norm=_paired(layer.key_norm),
                out=_product(layer.out),
                gate_up=_product(layer.gate_up, layer.mlp_norm),
                down=_product(layer.down),
            )
            for layer in weights.layers
        ],
        embedding=weights.embedding,
        head=Product((weights.head * weights.final_norm).t().contiguous(), None),
        eps=torch.tensor(weights.eps, dtype=weights.embedding.dtype),
        num_heads=weights.num_heads,
        num_kv=weights.num_key_value_heads,
    )


def turns(weights: LeanWeights, num_positions: int) -> Complex[Tensor, "C A D"]:
    """Return what each pair of numbers is multiplied by, as one complex number, at each position.

    A query's are also divided by the root of its length, as its products with the keys must be; a value's stay.
    """
    angles = Angles.of(weights, torch.arange(num_positions))
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
    return Product(weight.t().contiguous(), projection.bias)


def _reordered(projection: Projection, order: Int[Tensor, " O"]) -> Projection:
    bias = None if projection.bias is None else projection.bias[order]
    return replace(projection, weight=projection.weight[order], bias=bias)


def _paired(norm: Float[Tensor, " D"] | None) -> Float[Tensor, " D"] | None:
    return None if norm is None else norm[in_pairs(len(norm))]


class Rows(NamedTuple):
    """What is known of some rows' tokens so far. Only rows with padding before their prompt have the last two."""

    memory: list[Tensor]  # each layer's keys and values, [2, R, K, C, D]; the keys' numbers in pairs
    turns: Tensor  # [C, H + 2·K, D/2], complex
    num_padding: Tensor | None  # [R], places before the first token
    hides: Tensor | None  # [R·K, 1, C], what is added to the scores: -inf at these places, else 0


@no_type_check  # TorchScript reads the annotations, and these are all that it knows
def read(weights: TokenWeights, rows: Rows, token_ids: Tensor, place: int) -> Tensor:
    """Read one token in each row, at that place of the memory; return the logits of the next, [R, V]."""
    num_padding, hides = rows.num_padding, rows.hides
    turn = rows.turns[place : place + 1] if num_padding is None else rows.turns[place - num_padding]
    x = torch.embedding(weights.embedding, token_ids)
    if hides is not None:
        hides = hides.narrow(2, 0, place + 1)
    for layer, whole in zip(weights.layers, rows.memory):  # noqa: B905 - TorchScript knows no `strict`
        memory = whole.narrow(3, 0, place + 1)
        heads = _heads(x, layer, weights, turn)
        new = heads.narrow(1, weights.num_heads, 2 * weights.num_kv).unflatten(1, [2, weights.num_kv])
        memory.select(3, place).copy_(new.transpose(0, 1))
        _add(x, _gathered(heads.narrow(1, 0, weights.num_heads), memory, hides), layer.out)
        gate_up = _linear(_scaled(x, weights.eps), layer.gate_up)
        half = gate_up.shape[1] // 2
        _add(x, F.silu(gate_up.narrow(1, 0, half)).mul_(gate_up.narrow(1, half, half)), layer.down)
    return _linear(_scaled(x, weights.eps), weights.head)


@no_type_check
def _linear(x: Tensor, product: Product) -> Tensor:
    bias = product.bias
    return torch.mm(x, product.weight) if bias is None else torch.addmm(bias, x, product.weight)


@no_type_check
def _add(x: Tensor, y: Tensor, product: Product) -> None:
    """Add the product with y to x, in place: of `addmm` TorchScript would make two operations."""
    bias = product.bias
    x.addmm_(y, product.weight)
    if bias is not None:
        x.add_(bias)


@no_type_check
def _scaled(x: Tensor, eps: Tensor) -> Tensor:
    """Return x/√(mean(x²) + ε), the mean over the last dimension."""
    length = torch.linalg.vector_norm(x, 2.0, [-1], True)
    return x * torch.addcmul(eps, length, length, value=1.0 / x.shape[-1]).rsqrt_()


@no_type_check
def _heads(x: Tensor, layer: TokenLayer, weights: TokenWeights, turn: Tensor) -> Tensor:
    """Return queries and keys, turned by their position, and values, [R, H + 2·K, D]."""
    num_heads, num_turned = weights.num_heads, weights.num_heads + weights.num_kv
    query_norm, key_norm = layer.query_norm, layer.key_norm
    qkv = _linear(_scaled(x, weights.eps), layer.qkv).view(x.shape[0], num_turned + weights.num_kv, -1, 2)
    if query_norm is not None and key_norm is not None:
        scaled = _scaled(qkv.narrow(1, 0, num_turned).flatten(2), weights.eps)
        both = scaled.narrow(1, 0, num_heads) * query_norm, scaled.narrow(1, num_heads, weights.num_kv) * key_norm
        values = qkv.narrow(1, num_turned, weights.num_kv).flatten(2)
        qkv = torch.cat([both[0], both[1], values], dim=1).view_as(qkv)
    return torch.view_as_real(torch.view_as_complex(qkv) * turn).flatten(2)


@no_type_check
def _gathered(q: Tensor, memory: Tensor, hides: Tensor | None) -> Tensor:
    """Return what each head gathers from the places, side by side, [R, H·D]."""
    num_rows, num_kv, width = memory.shape[1], memory.shape[2], memory.shape[4]
    keys, values = memory.flatten(1, 2).unbind(0)
    grouped, keys = q.reshape(num_rows * num_kv, -1, width), keys.transpose(1, 2)
    scores = torch.bmm(grouped, keys) if hides is None else torch.baddbmm(hides, grouped, keys)
    return torch.bmm(scores.softmax(-1), values).view(num_rows, -1)
