"""Which number goes where for attention: a token's heads to rectangles and back, each way one `index_select`.

A token has `A` heads side by side, `H` queries, `K` keys and `K` values: packed tokens are `N·A` rows of `D` numbers.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.engine.lean.packed import Block, CompletionBlock, Packed


class BlockMoves(NamedTuple):
    """A block of `R` rows of `T` tokens, each of which looks at `C` places: its prompt's, then its own."""

    queries: Tensor  # [R·H·T], the row of each; padding is filled with one of the block's own tokens
    keys: Tensor  # [R·K·C]
    values: Tensor
    gathered: Tensor  # [R·H·T], which of all tokens' N·H gathered rows each is; padding is N·H
    bias: Tensor  # [R or 1, 1, T, C], added to the scores: -inf where a token does not look, else 0
    prompt: Tensor  # [R]; none for the prompts themselves
    num_rows: int
    num_tokens: int
    num_places: int


class Moves(NamedTuple):
    """All blocks, the prompts first. Their results lie one block's after the other's."""

    blocks: list[BlockMoves]
    gathered: Tensor  # [N·H], of what the blocks' queries gathered, [R·H·T] rows each
    heads: Tensor  # [N·A], of the blocks' queries, keys and values, [R·H·T], [R·K·C] and [R·K·C] rows each
    num_gathered: int  # rows that `gathered` chooses from
    num_head_rows: int  # rows that `heads` chooses from


def moves(packed: Packed, num_heads: int, num_kv: int) -> Moves:
    """Return the moves of packed tokens for a model with so many heads: worked out once."""
    key = num_heads, num_kv
    if key not in packed.moves:
        packed.moves[key] = _moves(packed, num_heads, num_kv)
    return packed.moves[key]


def _moves(packed: Packed, num_heads: int, num_kv: int) -> Moves:
    blocks, gathered, heads = [], [], []
    num_gathered = num_head_rows = num_read = 0
    for block in (packed.prompts, *packed.completions):
        if len(block) == 0:
            continue  # completions of one token
        made = _block_moves(block, packed, num_read, num_heads, num_kv)
        keys = num_head_rows + len(made.queries)
        values = keys + len(made.keys)
        before = made.num_places - made.num_tokens
        of_queries = _rows(block, num_heads, made.num_tokens)
        of_keys = before + _rows(block, num_kv, made.num_places)
        gathered.append(num_gathered + of_queries)
        heads.append(torch.cat([num_head_rows + of_queries, keys + of_keys, values + of_keys], dim=1))
        blocks.append(made)
        num_gathered += len(made.queries)
        num_head_rows = values + len(made.values)
        num_read += len(block)
    return Moves(blocks, torch.cat(gathered).flatten(), torch.cat(heads).flatten(), num_gathered, num_head_rows)


def num_scores(packed: Packed, num_heads: int) -> int:
    """Return how many numbers one layer's scores are, of the block that has most."""
    num_prompts, longest = packed.prompts.shape
    of_completions = [rows * length * (longest + length) for rows, length in (b.shape for b in packed.completions)]
    return num_heads * max(num_prompts * longest**2, *of_completions)


def _block_moves(block: Block, packed: Packed, first: int, num_heads: int, num_kv: int) -> BlockMoves:
    """Return the moves of a block whose tokens are those from `first` on."""
    num_rows, num_tokens = block.shape
    own = first + block.filled_with.view(block.shape)
    if isinstance(block, CompletionBlock):
        of_prompts = packed.prompts.filled_with.view(packed.prompts.shape)
        seen, bias, prompt = torch.cat([of_prompts[block.prompt], own], dim=1), block.bias, block.prompt
    else:
        seen, bias, prompt = own, _causal_bias(num_tokens), own.new_empty(0)
    num_places = seen.shape[1]
    gathered = own.new_full((num_rows * num_heads * num_tokens,), len(packed.token_ids) * num_heads)
    of_tokens = (first + torch.arange(len(block)))[:, None] * num_heads + torch.arange(num_heads)
    gathered[_rows(block, num_heads, num_tokens)] = of_tokens
    width = num_heads + 2 * num_kv
    keys = (seen[:, None] * width + num_heads + torch.arange(num_kv)[:, None]).flatten()
    return BlockMoves(
        queries=(own[:, None] * width + torch.arange(num_heads)[:, None]).flatten(),
        keys=keys,
        values=keys + num_kv,
        gathered=gathered,
        bias=bias,
        prompt=prompt,
        num_rows=num_rows,
        num_tokens=num_tokens,
        num_places=num_places,
    )


def _rows(block: Block, num_heads: int, length: int) -> Int[Tensor, "n h"]:
    """Return where each token's heads are among the rows of [R, heads, length]: its place in its row is the first."""
    row, t = block.places // block.shape[1], block.places % block.shape[1]
    return (row[:, None] * num_heads + torch.arange(num_heads)) * length + t[:, None]


def _causal_bias(length: int) -> Float[Tensor, "1 1 T T"]:
    return torch.full((1, 1, length, length), float("-inf")).triu(1)
