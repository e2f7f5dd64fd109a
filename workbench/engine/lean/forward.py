"""The model's forward pass over packed tokens: embeddings to the states that the head reads."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from workbench.engine.lean.functions import gated_silu, normed
from workbench.engine.lean.heads import Angles, heads
from workbench.engine.lean.packed import CompletionBlock, Packed
from workbench.engine.lean.weights import LeanLayer, LeanWeights

SCORES_AT_ONCE = 2**22  # numbers, of one block in one layer


def states(weights: LeanWeights, packed: Packed) -> Float[Tensor, "M I"]:
    """Return the final state, after the last norm, that predicts each completion token."""
    x = F.embedding(packed.token_ids, weights.embedding)
    angles = Angles.of(weights, packed.positions)
    for layer in weights.layers:
        x = x + layer.out(_attention(x, layer, weights, packed, angles))
        gate_up = layer.gate_up(normed(x, layer.mlp_norm, weights.eps))
        x = x + layer.down(gated_silu(gate_up))
    return normed(x[packed.source], weights.final_norm, weights.eps)


def _attention(
    x: Float[Tensor, "N I"], layer: LeanLayer, weights: LeanWeights, packed: Packed, angles: Angles
) -> Float[Tensor, "N W"]:
    """Return what each token's heads gather: from the prompt, and from the completion up to the token."""
    q, k, v = heads(x, layer, weights, angles)
    has_groups = weights.num_heads != weights.num_key_value_heads
    prompts = packed.prompts
    sizes = [len(prompts), *map(len, packed.completions)]
    (own_q, *qs), (own_k, *ks), (own_v, *vs) = (part.split(sizes) for part in (q, k, v))
    prompt_k, prompt_v = prompts.spread(own_k), prompts.spread(own_v)
    seen = F.scaled_dot_product_attention(
        prompts.spread(own_q), prompt_k, prompt_v, is_causal=True, enable_gqa=has_groups
    )
    gathered = [prompts.gathered(seen)]
    for block, q, k, v in zip(packed.completions, qs, ks, vs, strict=True):
        if len(block) == 0:
            continue  # completions of one token
        keys = torch.cat([prompt_k.index_select(0, block.prompt), block.spread(k)], dim=2)
        values = torch.cat([prompt_v.index_select(0, block.prompt), block.spread(v)], dim=2)
        gathered.append(block.gathered(_attend(block.spread(q), keys, values, block)))
    return torch.cat(gathered)


def _attend(
    q: Float[Tensor, "R H T D"],
    keys: Float[Tensor, "R K C D"],
    values: Float[Tensor, "R K C D"],
    block: CompletionBlock,
) -> Float[Tensor, "R H T D"]:
    """Return what each query gathers. Where all scores are few they are held at once: half the time of torch's own."""
    num_groups = q.shape[1] // keys.shape[1]
    if q.shape[:3].numel() * keys.shape[2] > SCORES_AT_ONCE:
        return F.scaled_dot_product_attention(q, keys, values, attn_mask=block.sees, enable_gqa=num_groups > 1)
    shape, bias = q.shape, block.bias.to(q.dtype)
    grouped = (q * shape[-1] ** -0.5).reshape(shape[0], keys.shape[1], -1, shape[-1])
    scores = grouped @ keys.transpose(2, 3) + (bias if num_groups == 1 else bias.repeat(1, 1, num_groups, 1))
    return (scores.softmax(-1) @ values).view(shape)
