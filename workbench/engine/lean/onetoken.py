"""One more token for many rows as one call that TorchScript compiles: no Python between its operations.

So the rows can be read in parts at the same time: with a call for each operation, threads would wait for Python's lock
most of the time. TorchScript knows no shapes: they are in the comments.
"""

import warnings
from collections.abc import Callable
from functools import cache
from typing import NamedTuple, no_type_check

import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.engine.lean.weights import LeanWeights, Projection


class Product(NamedTuple):
    """A linear layer."""

    weight: Tensor  # [O, I]
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
    head: Tensor  # [V, I], the last norm multiplied in
    eps: Tensor  # a number
    num_heads: int
    num_kv: int


def token_weights(weights: LeanWeights) -> TokenWeights:
    """Return the weights as `read` takes them. An adapter must be folded into them, or off."""
    return TokenWeights(
        layers=[
            TokenLayer(
                qkv=_after_norm(layer.attention_norm, layer.qkv),
                query_norm=layer.query_norm,
                key_norm=layer.key_norm,
                out=Product(layer.out.weight, layer.out.bias),
                gate_up=_after_norm(layer.mlp_norm, layer.gate_up),
                down=Product(layer.down.weight, layer.down.bias),
            )
            for layer in weights.layers
        ],
        embedding=weights.embedding,
        head=weights.head * weights.final_norm,
        eps=torch.tensor(weights.eps, dtype=weights.embedding.dtype),
        num_heads=weights.num_heads,
        num_kv=weights.num_key_value_heads,
    )


def _after_norm(norm: Tensor, projection: Projection) -> Product:
    return Product(projection.weight * norm, projection.bias)


class Rows(NamedTuple):
    """Some rows, their next token, and what is known of those before it."""

    token_ids: Tensor  # [R]
    memory: list[tuple[Tensor, Tensor]]  # each layer's keys and values, [R, K, C, D]; place t is written
    cos: Tensor  # [C, 1, D], of the angles at each position
    sin: Tensor  # the same, the first half of D negated
    positions: Tensor | None  # [R]; None where they are all t
    sees: Tensor | None  # [R, C], which places hold tokens; None where all do
    t: int


@cache
def compiled_read() -> Callable[..., Tensor]:
    """Return `read`, compiled. Its first two calls take some hundredths of a second longer than the others."""
    with warnings.catch_warnings():
        # torch advises torch.compile instead, which needs a C++ compiler on the user's machine and takes many seconds
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.script(read)


@no_type_check  # TorchScript reads the annotations, and these are all that it knows
def read(weights: TokenWeights, parts: list[Rows], at_once: bool) -> Tensor:
    """Read one token in each row of the parts, each on a thread of its own or one after the other.

    Returns the logits of each row's next token, [R, V].
    """
    if not at_once:
        return torch.cat([_read_part(weights, part) for part in parts])
    others = [torch.jit.fork(_read_part, weights, part) for part in parts[1:]]
    logits = [_read_part(weights, parts[0])]
    for other in others:
        logits.append(torch.jit.wait(other))
    return torch.cat(logits)


@no_type_check
def _read_part(weights: TokenWeights, rows: Rows) -> Tensor:
    t, positions = rows.t, rows.positions
    x = torch.embedding(weights.embedding, rows.token_ids)
    cos = rows.cos[t : t + 1] if positions is None else rows.cos[positions]
    sin = rows.sin[t : t + 1] if positions is None else rows.sin[positions]
    for layer, (keys, values) in zip(weights.layers, rows.memory):  # noqa: B905 - TorchScript knows no `strict`
        q, k, v = _heads(x, layer, weights, cos, sin)
        keys.select(2, t).copy_(k)
        values.select(2, t).copy_(v)
        x = _plus(x, _gathered(q, keys, values, rows.sees, t + 1), layer.out)
        gate, up = _linear(_scaled(x, weights.eps), layer.gate_up).chunk(2, dim=1)
        x = _plus(x, F.silu(gate).mul_(up), layer.down)
    return F.linear(_scaled(x, weights.eps), weights.head)


@no_type_check
def _linear(x: Tensor, product: Product) -> Tensor:
    return F.linear(x, product.weight, product.bias)


@no_type_check
def _plus(x: Tensor, y: Tensor, product: Product) -> Tensor:
    """Return x and the product with y."""
    both, bias = torch.addmm(x, y, product.weight.t()), product.bias
    return both if bias is None else both.add_(bias)


@no_type_check
def _scaled(x: Tensor, eps: Tensor) -> Tensor:
    """Return x/√(mean(x²) + ε), the mean over the last dimension."""
    length = torch.linalg.vector_norm(x, 2.0, [-1], True)
    return x * torch.addcmul(eps, length, length, value=1.0 / x.shape[-1]).rsqrt_()


@no_type_check
def _heads(
    x: Tensor, layer: TokenLayer, weights: TokenWeights, cos: Tensor, sin: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return queries [R, H, D] and keys [R, K, D], turned by their position, and values [R, K, D]."""
    num_heads, num_kv, query_norm, key_norm = weights.num_heads, weights.num_kv, layer.query_norm, layer.key_norm
    qkv = _linear(_scaled(x, weights.eps), layer.qkv).view(x.shape[0], num_heads + 2 * num_kv, -1)
    turning, values = qkv[:, : num_heads + num_kv], qkv[:, num_heads + num_kv :]
    if query_norm is not None and key_norm is not None:
        scaled = _scaled(turning, weights.eps)
        turning = torch.cat([scaled[:, :num_heads] * query_norm, scaled[:, num_heads:] * key_norm], dim=1)
    turned = torch.addcmul(turning * cos, turning.roll([turning.shape[2] // 2], [-1]), sin)
    return turned[:, :num_heads], turned[:, num_heads:], values


@no_type_check
def _gathered(q: Tensor, keys: Tensor, values: Tensor, sees: Tensor | None, length: int) -> Tensor:
    """Return what each head gathers from the first places, side by side, [R, H·D]."""
    num_rows, num_kv, width = q.shape[0], keys.shape[1], q.shape[2]
    grouped = (q * float(width) ** -0.5).view(num_rows * num_kv, -1, width)
    keys, values = keys.narrow(2, 0, length).flatten(0, 1), values.narrow(2, 0, length).flatten(0, 1)
    scores = torch.bmm(grouped, keys.transpose(1, 2))
    if sees is not None:
        hidden = sees[:, :length].logical_not()[:, None, None]
        scores = scores.view(num_rows, num_kv, -1, length).masked_fill(hidden, float("-inf")).flatten(0, 1)
    return torch.bmm(scores.softmax(-1), values).view(num_rows, -1)
