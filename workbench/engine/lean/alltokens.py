"""All tokens of some rows in one call that TorchScript compiles: embeddings to the last norm.

It computes what `forward.py` does, and keeps what `backward.py` needs. TorchScript knows no shapes: they are in the
comments, `N` tokens in all.
"""

from typing import NamedTuple, no_type_check

import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.engine.lean.moves import Moves
from workbench.engine.lean.products import LayerProducts, Products, add, linear, normalizer


class Attended(NamedTuple):
    """What one block's attention computed with."""

    q: Tensor  # [R·K, G·T, D], the G heads that share keys one after the other
    k: Tensor  # [R·K, C, D]
    v: Tensor
    probabilities: Tensor  # [R·K, G·T, C]


class KeptLayer(NamedTuple):
    """What a layer's gradient needs. What a norm gave is not yet multiplied by the norm's weight."""

    normed: Tensor  # [N, I], before attention
    normalizer: Tensor  # [N, 1]
    normed_heads: Tensor  # [N, H + K, D], Qwen3's; else empty
    head_normalizer: Tensor
    attended: list[Attended]
    gathered: Tensor  # [N, H·D]
    mlp_normed: Tensor  # [N, I]
    mlp_normalizer: Tensor  # [N, 1]
    gate_up: Tensor  # [N, 2·M]
    opened: Tensor  # [N, M], silu of the gate
    gated: Tensor


class Kept(NamedTuple):
    """What the whole gradient needs."""

    layers: list[KeptLayer]
    normed: Tensor  # [N, I], after the last layer
    normalizer: Tensor  # [N, 1]


@no_type_check  # TorchScript reads the annotations, and these are all that it knows
def read_all(
    weights: Products,
    token_ids: Tensor,  # [N]
    turn: Tensor,  # [N, H + K, D/2], complex, for each token's queries and keys
    moves: Moves,
    keeps: bool,
) -> tuple[Tensor, Kept]:
    """Return each token's last state, normed, [N, I], and if asked for what its gradient needs."""
    x = torch.embedding(weights.embedding, token_ids)
    kept: list[KeptLayer] = []
    for layer in weights.layers:
        by = normalizer(x, weights.eps)
        normed = x * by
        heads, normed_heads, by_head = _heads(normed, layer, weights, turn)
        gathered, attended = _attend(heads, moves, weights)
        add(x, gathered, layer.out)
        mlp_by = normalizer(x, weights.eps)
        mlp_normed = x * mlp_by
        gate_up = linear(mlp_normed, layer.gate_up)
        half = gate_up.shape[1] // 2
        opened = F.silu(gate_up.narrow(1, 0, half))
        gated = opened * gate_up.narrow(1, half, half)
        add(x, gated, layer.down)
        if keeps:
            of_attention = (normed, by, normed_heads, by_head, attended, gathered)
            kept.append(KeptLayer(*of_attention, mlp_normed, mlp_by, gate_up, opened, gated))
    by = normalizer(x, weights.eps)
    normed = x * by
    return normed * weights.final_norm, Kept(kept, normed, by)


@no_type_check
def _heads(normed: Tensor, layer: LayerProducts, weights: Products, turn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return queries and keys, turned, and values, [N, A, D]; and Qwen3's norm of the heads, before its weight."""
    num_turned, head_norm = weights.num_heads + weights.num_kv, layer.head_norm
    heads = linear(normed, layer.qkv).view(normed.shape[0], num_turned + weights.num_kv, -1)
    turned = heads.narrow(1, 0, num_turned)
    normed_heads, by = normed.new_empty([0]), normed.new_empty([0])
    if head_norm is not None:
        by = normalizer(turned, weights.eps)
        normed_heads = turned * by
        torch.mul(normed_heads, head_norm, out=turned)
    torch.view_as_complex(turned.unflatten(2, [-1, 2])).mul_(turn)
    return heads, normed_heads, by


@no_type_check
def _attend(heads: Tensor, moves: Moves, weights: Products) -> tuple[Tensor, list[Attended]]:
    """Return what each token's heads gather, side by side, [N, H·D]."""
    num_tokens, width, num_done = heads.shape[0], heads.shape[2], 0
    rows = heads.flatten(0, 1)
    gathered = heads.new_empty([moves.num_gathered, width])
    attended: list[Attended] = []
    for block in moves.blocks:
        num_groups = block.num_rows * weights.num_kv
        q = rows.index_select(0, block.queries).view(num_groups, -1, width)
        k = rows.index_select(0, block.keys).view(num_groups, block.num_places, width)
        v = rows.index_select(0, block.values).view(num_groups, block.num_places, width)
        scores = torch.bmm(q, k.transpose(1, 2))
        scores.view(block.num_rows, weights.num_heads, block.num_tokens, block.num_places).add_(block.bias)
        probabilities = scores.softmax(-1)
        torch.bmm(probabilities, v, out=gathered.narrow(0, num_done, len(block.queries)).view_as(q))
        attended.append(Attended(q, k, v, probabilities))
        num_done += len(block.queries)
    return gathered.index_select(0, moves.gathered).view(num_tokens, -1), attended
