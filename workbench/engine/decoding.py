"""One token at a time for many rows: prompts read once, their memory repeated for each group, ended rows dropped."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache

from workbench.engine.lean.decoder import LeanDecoder
from workbench.engine.policy import Policy
from workbench.engine.prompts import PromptBatch


@contextmanager
def decoding(
    policy: Policy, prompts: PromptBatch, num_generations: int, room: int
) -> Iterator["Decoder | LeanDecoder"]:
    """Give a decoder with G rows for each prompt, each with room for that many tokens; our own where it may be."""
    if "shared_prefill" not in policy.fast_paths:
        prompts, num_generations = prompts.repeated(num_generations), 1
    if "lean_model" in policy.fast_paths:
        yield LeanDecoder(policy.lean_rollout(), prompts, num_generations, room)
        return
    with policy.merged() if "merged_rollout" in policy.fast_paths else nullcontext():
        yield Decoder(policy, prompts, num_generations)


class Decoder:
    """transformers' own forward pass, one token after the other.

    Holds `logits`, the next token's for each of its rows. `advance` reads one token a row, `keep` drops rows.
    """

    logits: Float[Tensor, "R V"]

    @torch.no_grad()
    def __init__(self, policy: Policy, prompts: PromptBatch, num_generations: int) -> None:
        self._policy = policy
        self._cache = DynamicCache(config=policy.model.config)
        self._mask = prompts.mask if prompts.has_padding else None
        self._read(prompts.ids, prompts.positions)
        self._next_position = prompts.positions[:, -1] + 1
        self._repeat(num_generations)

    @torch.no_grad()
    def advance(self, token_ids: Int[Tensor, " R"]) -> None:
        """Read one more token in every row."""
        if self._mask is not None:
            self._mask = torch.cat([self._mask, self._mask.new_ones(len(token_ids), 1)], dim=1)
        self._read(token_ids[:, None], self._next_position[:, None])
        self._next_position = self._next_position + 1

    def keep(self, rows: Int[Tensor, " K"]) -> Int[Tensor, " K"]:
        """Drop all but these rows, given in their order; return which row each one that is left was."""
        self._cache.batch_select_indices(rows)
        self._next_position = self._next_position[rows]
        self._mask = None if self._mask is None else self._mask[rows]
        return rows

    def _repeat(self, num_generations: int) -> None:
        self._cache.batch_repeat_interleave(num_generations)
        self.logits = self.logits.repeat_interleave(num_generations, dim=0)
        self._next_position = self._next_position.repeat_interleave(num_generations)
        if self._mask is not None:
            self._mask = self._mask.repeat_interleave(num_generations, dim=0)

    def _read(self, ids: Int[Tensor, "R S"], positions: Int[Tensor, "R S"]) -> None:
        logits = self._policy.logits(ids, self._mask, positions, num_last=1, cache=self._cache)
        self.logits = logits[:, -1].float()
