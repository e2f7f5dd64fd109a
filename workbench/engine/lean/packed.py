"""Prompts and completions without padding: one row of tokens, each prompt that several completions share once."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

ROWS_AT_ONCE = 64  # completions whose attention is computed together, padded to the longest of them


@dataclass(frozen=True, eq=False)
class Block:
    """Some of the packed tokens, one after the other, as rows of a rectangle, padded at the right, for attention.

    `places` are the tokens' places in the rectangle of `shape`, `filled_with` which of them is at each place. Padding
    repeats the first: no token attends to it, and what it gathers is thrown away.
    """

    places: Int[Tensor, " n"]
    filled_with: Int[Tensor, " m"]
    shape: tuple[int, int]

    def __len__(self) -> int:
        return len(self.places)

    def spread(self, tokens: Float[Tensor, "n H D"]) -> Float[Tensor, "R H T D"]:
        """Return the block's tokens as rows."""
        rows = _Moved.apply(tokens, self.filled_with, self.places).unflatten(0, self.shape)  # type: ignore[union-attr]
        return rows.transpose(1, 2)

    def gathered(self, rows: Float[Tensor, "R H T D"]) -> Float[Tensor, "n W"]:
        """Return the tokens of rows, one after the other, their heads side by side."""
        flat = rows.transpose(1, 2).reshape(self.shape[0] * self.shape[1], -1)
        return _Gathered.apply(flat, self.places)  # type: ignore[return-value] - apply is untyped


class _Moved(torch.autograd.Function):
    """Tokens to the places of a rectangle. What comes back at a padding's place is 0, and not looked at."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, filled_with: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        return tokens.index_select(0, filled_with)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (places,) = ctx.saved_tensors
        return gradients[0].index_select(0, places), None, None


class _Gathered(torch.autograd.Function):
    """The places of a rectangle that hold tokens. The others get a gradient of 0."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        ctx.length = len(flat)
        return flat.index_select(0, places)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (places,) = ctx.saved_tensors
        (gradient,) = gradients
        return gradient.new_zeros(ctx.length, gradient.shape[1]).index_copy_(0, places, gradient), None


@dataclass(frozen=True, eq=False)
class CompletionBlock(Block):
    """Completions of like length. `prompt` says which prompt each row goes on from.

    `sees` is which of the prompt's and the row's own tokens, end to end, each token attends to.
    """

    prompt: Int[Tensor, " R"]
    sees: Bool[Tensor, "R 1 T C"]

    @cached_property
    def bias(self) -> Float[Tensor, "R 1 T C"]:
        """Return what is added to a score: 0 where a token is seen, else -inf."""
        return torch.zeros(self.sees.shape, device=self.sees.device).masked_fill_(~self.sees, float("-inf"))


@dataclass(frozen=True, eq=False)
class Packed:
    """`N` tokens to read, prompts first, and from which of them each completion token is predicted.

    A completion's last token is not among them: it predicts nothing. `source` and `targets` are for the tokens of
    `mask`, row after row.
    """

    token_ids: Int[Tensor, " N"]
    positions: Int[Tensor, " N"]
    prompts: Block
    completions: tuple[CompletionBlock, ...]
    source: Int[Tensor, " M"]
    targets: Int[Tensor, " M"]
    mask: Bool[Tensor, "B T"]

    @cached_property
    def moves(self) -> dict[Any, Any]:
        """Return what `moves.py` has worked out so far."""
        return {}

    @property
    def num_positions(self) -> int:
        """Return how many positions there are: the tokens of a row at most."""
        return self.prompts.shape[1] + max(block.shape[1] for block in self.completions)

    def padded(self, values: Float[Tensor, " M"]) -> Float[Tensor, "B T"]:
        """Return one value a completion token as rows, with gradient; padding is 0."""
        return values.new_zeros(self.mask.shape).masked_scatter(self.mask, values)


def pack(
    prompt_ids: Int[Tensor, "B S"],
    prompt_mask: Bool[Tensor, "B S"],
    completion_ids: Int[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    *,
    shares_prompts: bool = True,
) -> Packed:
    """Return prompts, which may have padding at the left, and completions, padded at the right, without padding.

    Rows with the same prompt share it, unless `shares_prompts` is False.
    """
    prompts, prompt_of = _each_once(prompt_ids, prompt_mask, shares_prompts)
    prompt_lengths = prompt_mask[prompts].sum(1)
    prompt_block = _block(prompt_lengths)
    lengths = (mask.sum(1) - 1).clamp(min=0)
    order = lengths.argsort(stable=True)
    starts = torch.empty_like(lengths)  # where each completion's tokens begin
    blocks, ids, positions = [], [prompt_ids[prompts][prompt_mask[prompts]]], [_within(prompt_lengths)]
    num_tokens = len(prompt_block)
    for rows in order.split(ROWS_AT_ONCE):
        own = _block(lengths[rows])
        starts[rows] = num_tokens + lengths[rows].cumsum(0) - lengths[rows]
        blocks.append(_completion_block(own, lengths[rows], prompt_of[rows], prompt_lengths))
        ids.append(completion_ids[rows][:, : own.shape[1]].flatten()[own.places])
        positions.append(_within(lengths[rows]) + prompt_lengths[prompt_of[rows]].repeat_interleave(lengths[rows]))
        num_tokens += len(own)
    return Packed(
        token_ids=torch.cat(ids),
        positions=torch.cat(positions),
        prompts=prompt_block,
        completions=tuple(blocks),
        source=_sources(mask, starts, (prompt_lengths.cumsum(0) - 1)[prompt_of]),
        targets=completion_ids[mask],
        mask=mask,
    )


def _each_once(
    prompt_ids: Int[Tensor, "B S"], prompt_mask: Bool[Tensor, "B S"], shares_prompts: bool
) -> tuple[Int[Tensor, " P"], Int[Tensor, " B"]]:
    """Return a row of each different prompt, and which of these each row has."""
    rows = torch.arange(len(prompt_ids), device=prompt_ids.device)
    if not shares_prompts:
        return rows, rows
    visible = torch.where(prompt_mask, prompt_ids, -1)
    different, prompt_of = visible.unique(dim=0, return_inverse=True)
    first = rows.new_full((len(different),), len(rows)).scatter_reduce(0, prompt_of, rows, "amin")
    return first, prompt_of


def _block(lengths: Int[Tensor, " R"]) -> Block:
    longest = int(lengths.max())
    is_token = torch.arange(longest, device=lengths.device) < lengths[:, None]
    places = is_token.flatten().nonzero()[:, 0]
    filled_with = torch.zeros_like(is_token, dtype=torch.long).flatten()
    filled_with[places] = torch.arange(len(places), device=places.device)
    return Block(places, filled_with, (len(lengths), longest))


def _completion_block(
    block: Block, lengths: Int[Tensor, " R"], prompt: Int[Tensor, " R"], prompt_lengths: Int[Tensor, " P"]
) -> CompletionBlock:
    longest, device = block.shape[1], lengths.device
    sees_prompt = torch.arange(int(prompt_lengths.max()), device=device) < prompt_lengths[prompt][:, None]
    sees_own = torch.ones(longest, longest, dtype=torch.bool, device=device).tril()
    rows = len(lengths)
    sees = torch.cat(
        [
            sees_prompt[:, None, None].expand(-1, 1, longest, -1),
            sees_own.expand(rows, 1, -1, -1),
        ],
        dim=-1,
    )
    return CompletionBlock(block.places, block.filled_with, block.shape, prompt, sees)


def _within(lengths: Int[Tensor, " R"]) -> Int[Tensor, " n"]:
    """Return 0, 1, 2 … for each row, one row after the other."""
    ends = lengths.cumsum(0)
    return torch.arange(int(ends[-1]), device=lengths.device) - (ends - lengths).repeat_interleave(lengths)


def _sources(mask: Bool[Tensor, "B T"], starts: Int[Tensor, " B"], prompt_ends: Int[Tensor, " B"]) -> Int[Tensor, " M"]:
    """Return which packed token predicts each completion token: the prompt's last the first, then each the next."""
    t = torch.arange(mask.shape[1], device=mask.device)
    return torch.where(t == 0, prompt_ends[:, None], starts[:, None] + t - 1)[mask]
