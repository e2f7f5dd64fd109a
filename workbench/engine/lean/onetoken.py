"""One more token for many rows, to be compiled by TorchScript: no Python between its operations.

So parts of a batch can be sampled at the same time: with a Python call for each operation, threads would wait for
Python's lock most of the time. TorchScript knows no shapes: they are in the comments.
"""

from typing import NamedTuple, no_type_check

import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.engine.lean.products import LayerProducts, Products, add, linear, normalizer


class Rows(NamedTuple):
    """What is known of some rows' tokens so far. Only rows with padding before their prompt have the last two."""

    memory: list[Tensor]  # each layer's keys and values, [2, R, K, C, D]; the keys' numbers in pairs
    turns: Tensor  # [C, H + 2·K, D/2], complex
    num_padding: Tensor | None  # [R], places before the first token
    hides: Tensor | None  # [R·K, 1, C], what is added to the scores: -inf at these places, else 0


@no_type_check  # TorchScript reads the annotations, and these are all that it knows
def read(weights: Products, rows: Rows, token_ids: Tensor, place: int) -> Tensor:
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
        add(x, _gathered(heads.narrow(1, 0, weights.num_heads), memory, hides), layer.out)
        gate_up = linear(x * normalizer(x, weights.eps), layer.gate_up)
        half = gate_up.shape[1] // 2
        add(x, F.silu(gate_up.narrow(1, 0, half)).mul_(gate_up.narrow(1, half, half)), layer.down)
    return linear(x * normalizer(x, weights.eps), weights.head)


@no_type_check
def _heads(x: Tensor, layer: LayerProducts, weights: Products, turn: Tensor) -> Tensor:
    """Return queries and keys, turned by their position, and values, [R, H + 2·K, D]."""
    num_turned, head_norm = weights.num_heads + weights.num_kv, layer.head_norm
    heads = linear(x * normalizer(x, weights.eps), layer.qkv).view(x.shape[0], num_turned + weights.num_kv, -1)
    if head_norm is not None:
        turned = heads.narrow(1, 0, num_turned)
        turned.mul_(normalizer(turned, weights.eps)).mul_(head_norm)
    return torch.view_as_real(torch.view_as_complex(heads.unflatten(2, [-1, 2])) * turn).flatten(2)


@no_type_check
def _gathered(q: Tensor, memory: Tensor, hides: Tensor | None) -> Tensor:
    """Return what each head gathers from the places, side by side, [R, H·D]."""
    num_rows, num_kv, width = memory.shape[1], memory.shape[2], memory.shape[4]
    keys, values = memory.flatten(1, 2).unbind(0)
    grouped, keys = q.reshape(num_rows * num_kv, -1, width), keys.transpose(1, 2)
    scores = torch.bmm(grouped, keys) if hides is None else torch.baddbmm(hides, grouped, keys)
    return torch.bmm(scores.softmax(-1), values).view(num_rows, -1)
