"""Completions as one batch to be scored and trained on, and its micro-batches: rows of like length, trimmed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from workbench.engine.lean.packed import Packed, pack
from workbench.engine.prompts import PromptBatch
from workbench.engine.rollout import Rollout

SCORES_KEPT = 2**24  # what may be attended to in a packed batch that is kept: a mask of 16 MiB, and 64 MiB in float32


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """Prompt and completion of `B` rows. `temperature` is the one they were sampled at: every scoring divides by it.

    `mask` is where there is a token to read, `loss_mask` where there is one to learn from.
    """

    prompt_ids: Int[Tensor, "B S"]
    prompt_mask: Bool[Tensor, "B S"]
    completion_ids: Int[Tensor, "B T"]
    mask: Bool[Tensor, "B T"]
    loss_mask: Bool[Tensor, "B T"]
    temperature: float

    @classmethod
    def of(cls, prompts: PromptBatch, rollout: Rollout, num_generations: int, temperature: float) -> "TokenBatch":
        """Return the completions after their prompts, every token of them to be learned from."""
        prompt_ids = prompts.ids.repeat_interleave(num_generations, dim=0)
        prompt_mask = prompts.mask.repeat_interleave(num_generations, dim=0)
        return cls(prompt_ids, prompt_mask, rollout.token_ids, rollout.mask, rollout.mask, temperature)

    def without(self, rows: Bool[Tensor, " B"]) -> "TokenBatch":
        """Return the batch with nothing to be learned from `rows`."""
        return replace(self, loss_mask=self.loss_mask & ~rows[:, None])

    def sequences(self) -> tuple[Int[Tensor, "B N"], Bool[Tensor, "B N"], Int[Tensor, "B N"]]:
        """Return prompts and completions end to end, where they hold a token, and each token's position."""
        ids = torch.cat([self.prompt_ids, self.completion_ids], dim=1)
        mask = torch.cat([self.prompt_mask, self.mask], dim=1)
        return ids, mask, (mask.cumsum(1) - 1).clamp(min=0)

    def micro_batches(
        self, size: int, pairs: Int[Tensor, "N 2"] | None = None, *, is_sorted: bool = True
    ) -> Iterator[tuple[Int[Tensor, " R"], "TokenBatch"]]:
        """Yield (row numbers, their batch): rows sorted by length, at most `size`, trimmed to the longest.

        The two rows of a pair come together, so where there are pairs, at least two rows do.
        """
        lengths = self.mask.sum(1)
        order = lengths.argsort(stable=True) if is_sorted else torch.arange(len(lengths), device=lengths.device)
        parts = order.split(size) if pairs is None else _whole_pairs(lengths, pairs, size)
        for rows in parts:
            yield rows, self._of_rows(rows)

    def even_parts(
        self, size: int, pairs: Int[Tensor, "N 2"] | None = None
    ) -> "Sequence[tuple[Int[Tensor, ' R'], TokenBatch]]":
        """Return (row numbers, their batch): rows in their order, in as many even parts as are needed for `size`.

        Rows of one group stay together as far as may be: they share their prompt. Every pass gets the same parts, so
        that what is worked out for one serves them all.
        """
        count = len(self.mask)
        num_parts = -(-count // size)
        if pairs is not None:
            return list(self.micro_batches(-(-count // num_parts), pairs))
        if num_parts not in self._parts:
            numbers = torch.arange(count, device=self.mask.device).tensor_split(num_parts)
            self._parts[num_parts] = [(rows, self._of_rows(rows)) for rows in numbers]
        return self._parts[num_parts]

    def packed(self, *, shares_prompts: bool) -> Packed:
        """Return the batch without padding: packed once, if that is worth its memory."""
        if shares_prompts in self._packed:
            return self._packed[shares_prompts]
        packed = pack(self.prompt_ids, self.prompt_mask, self.completion_ids, self.mask, shares_prompts=shares_prompts)
        if self.mask.numel() * (self.prompt_mask.shape[1] + self.mask.shape[1]) <= SCORES_KEPT:
            self._packed[shares_prompts] = packed
        return packed

    @cached_property
    def _parts(self) -> "dict[int, Sequence[tuple[Int[Tensor, ' R'], TokenBatch]]]":
        return {}

    @cached_property
    def _packed(self) -> dict[bool, Packed]:
        return {}

    def _of_rows(self, rows: Int[Tensor, " R"]) -> "TokenBatch":
        length = max(1, int(self.mask[rows].sum(1).max()))
        return replace(
            self,
            prompt_ids=self.prompt_ids[rows],
            prompt_mask=self.prompt_mask[rows],
            completion_ids=self.completion_ids[rows, :length],
            mask=self.mask[rows, :length],
            loss_mask=self.loss_mask[rows, :length],
        )


def _whole_pairs(lengths: Int[Tensor, " B"], pairs: Int[Tensor, "N 2"], size: int) -> Iterator[Int[Tensor, " R"]]:
    """Yield all row numbers, those of pairs first, a pair's next to each other."""
    by_length = lengths[pairs].amax(1).argsort(stable=True)
    for some in pairs[by_length].split(max(1, size // 2)):
        if len(some):
            yield some.flatten()
    order = lengths.argsort(stable=True)
    alone = order[torch.isin(order, pairs, invert=True)]
    if len(alone):
        yield from alone.split(size)
