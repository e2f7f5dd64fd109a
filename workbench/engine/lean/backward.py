"""The gradient of `alltokens.py` towards the adapters, by hand, in one call that TorchScript compiles.

The gradient goes straight to A and B, never through the whole weight's: with y = (W + s·B·A)·x it is s·Bᵀ·(∂y·xᵀ) for A
and s·(∂y·(A·x)ᵀ) for B. TorchScript knows no shapes: they are in the comments, `N` tokens in all.
Source: LoRA, https://arxiv.org/abs/2106.09685
"""

from typing import NamedTuple, no_type_check

import torch
from torch import Tensor

from workbench.engine.lean.alltokens import Kept, KeptLayer
from workbench.engine.lean.moves import BlockMoves, Moves
from workbench.engine.lean.products import LayerProducts, Products


class Adapter(NamedTuple):
    """That of a product, whose layers lie side by side: all their A, one below the other, and their B."""

    a: Tensor  # [k·r, I], with `scale` multiplied in
    bs: list[Tensor]  # [O, r] each, those of queries and keys in pairs
    scale: Tensor  # [I], s times the weight of the norm before the product
    num_paired: int  # so many of the layers have their numbers in pairs
    head_dim: int


class LayerAdapters(NamedTuple):
    qkv: Adapter
    out: Adapter
    gate_up: Adapter
    down: Adapter


@no_type_check  # TorchScript reads the annotations, and these are all that it knows
def gradients(
    weights: Products,
    adapters: list[LayerAdapters],
    turn: Tensor,  # [N, H + K, D/2], complex
    moves: Moves,
    kept: Kept,
    gradient: Tensor,  # [N, I], towards the last states, normed
) -> list[Tensor]:
    """Return each layer's gradients: of qkv, out, gate_up and down, in each of A and then of the B."""
    to_x = torch.zeros_like(gradient)
    _through_norm(to_x, gradient * weights.final_norm, kept.normed, kept.normalizer)
    layers: list[list[Tensor]] = []
    for i in range(len(adapters) - 1, -1, -1):
        layer, own, at = weights.layers[i], adapters[i], kept.layers[i]
        of_down = _of_adapter(own.down, at.gated, to_x)
        to_gate_up = _through_gate(torch.mm(to_x, layer.down.weight.t()), at)
        of_gate_up = _of_adapter(own.gate_up, at.mlp_normed, to_gate_up)
        _through_norm(to_x, torch.mm(to_gate_up, layer.gate_up.weight.t()), at.mlp_normed, at.mlp_normalizer)
        of_out = _of_adapter(own.out, at.gathered, to_x)
        to_heads = _through_attention(to_x, layer, weights, turn, moves, at)
        of_qkv = _of_adapter(own.qkv, at.normed, to_heads)
        if i > 0:  # the embedding is not trained
            _through_norm(to_x, torch.mm(to_heads, layer.qkv.weight.t()), at.normed, at.normalizer)
        layers.append(of_qkv + of_out + of_gate_up + of_down)
    found: list[Tensor] = []
    for i in range(len(layers) - 1, -1, -1):
        found += layers[i]
    return found


@no_type_check
def _of_adapter(adapter: Adapter, x: Tensor, gradient: Tensor) -> list[Tensor]:
    """Return the gradient of A, [k·r, I], and of each B, from that towards the product with x, [N, O]."""
    rank = adapter.bs[0].shape[1]
    parts = gradient.split_with_sizes([b.shape[0] for b in adapter.bs], 1)
    # few rows and many columns: several times faster than the same product the other way round
    through_a = torch.mm(adapter.a, x.t())
    through_b: list[Tensor] = []
    of_bs: list[Tensor] = []
    for i, b in enumerate(adapter.bs):
        of_b = torch.mm(through_a.narrow(0, i * rank, rank), parts[i]).t()
        if i < adapter.num_paired:
            of_b = of_b.reshape(-1, adapter.head_dim // 2, 2, rank).transpose(1, 2).flatten(0, 2)
        of_bs.append(of_b.contiguous())
        through_b.append(torch.mm(b.t(), parts[i].t()))
    found = [torch.mm(torch.cat(through_b), x).mul_(adapter.scale)]
    found += of_bs
    return found


@no_type_check
def _through_norm(to_x: Tensor, gradient: Tensor, normed: Tensor, normalizer: Tensor) -> None:
    """Add to `to_x` the gradient towards x from that towards `normed`, x times its `normalizer`."""
    along = (gradient * normed).sum(-1, keepdim=True)
    to_x.addcmul_(gradient.addcmul_(normed, along, value=-1.0 / normed.shape[-1]), normalizer)


@no_type_check
def _through_gate(to_gated: Tensor, at: KeptLayer) -> Tensor:
    """Return the gradient towards gate and up, side by side."""
    half = to_gated.shape[1]
    gate, up = at.gate_up.narrow(1, 0, half), at.gate_up.narrow(1, half, half)
    both = torch.empty_like(at.gate_up)
    torch.mul(to_gated, at.opened, out=both.narrow(1, half, half))
    torch.ops.aten.silu_backward(to_gated.mul_(up), gate, grad_input=both.narrow(1, 0, half))
    return both


@no_type_check
def _through_attention(
    to_x: Tensor, layer: LayerProducts, weights: Products, turn: Tensor, moves: Moves, at: KeptLayer
) -> Tensor:
    """Return the gradient towards queries, keys and values before their turn, side by side, [N, A·D]."""
    num_tokens, num_turned = to_x.shape[0], weights.num_heads + weights.num_kv
    num_gathered, width = num_tokens * weights.num_heads, 2 * turn.shape[2]
    to_gathered = to_x.new_empty([num_gathered + 1, width])
    torch.mm(to_x, layer.out.weight.t(), out=to_gathered.narrow(0, 0, num_gathered).view(num_tokens, -1))
    to_gathered[num_gathered].zero_()  # what padding gathered is thrown away
    rows, num_done = to_x.new_empty([moves.num_head_rows, width]), 0
    prompts = rows.narrow(0, len(moves.blocks[0].queries), 2 * len(moves.blocks[0].keys))  # their keys and values
    for block, seen in zip(moves.blocks, at.attended):  # noqa: B905 - TorchScript knows no `strict`
        sizes = [len(block.queries), len(block.keys), len(block.values)]
        to_q, to_k, to_v = rows.narrow(0, num_done, sum(sizes)).split_with_sizes(sizes)
        to_seen = to_gathered.index_select(0, block.gathered).view_as(seen.q)
        to_probabilities = torch.bmm(to_seen, seen.v.transpose(1, 2))
        to_scores = torch.ops.aten._softmax_backward_data(to_probabilities, seen.probabilities, -1, to_x.dtype)
        torch.bmm(to_scores, seen.k, out=to_q.view_as(seen.q))
        torch.bmm(to_scores.transpose(1, 2), seen.q, out=to_k.view_as(seen.k))
        torch.bmm(seen.probabilities.transpose(1, 2), to_seen, out=to_v.view_as(seen.v))
        if len(block.prompt) > 0:
            of_prompts = prompts.chunk(2)
            _add_to_prompts(of_prompts[0], to_k, block, moves.blocks[0])
            _add_to_prompts(of_prompts[1], to_v, block, moves.blocks[0])
        num_done += sum(sizes)
    to_heads = rows.index_select(0, moves.heads).view(num_tokens, -1, width)
    turned = to_heads.narrow(1, 0, num_turned)
    torch.view_as_complex(turned.unflatten(2, [-1, 2])).mul_(turn.conj())
    head_norm = layer.head_norm
    if head_norm is not None:
        gradient = turned * head_norm
        turned.zero_()
        _through_norm(turned, gradient, at.normed_heads, at.head_normalizer)
    return to_heads.flatten(1)


@no_type_check
def _add_to_prompts(to_prompts: Tensor, to_places: Tensor, block: BlockMoves, prompts: BlockMoves) -> None:
    """Add what a block's rows want of the keys, or values, of their prompts."""
    width, longest = to_prompts.shape[1], prompts.num_tokens
    of_rows = to_places.view(block.num_rows, -1, block.num_places, width).narrow(2, 0, longest)
    to_prompts.view(prompts.num_rows, -1, longest, width).index_add_(0, block.prompt, of_rows)
