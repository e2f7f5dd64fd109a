"""One token at a time for many rows: prompts read once, their memory repeated for each group, ended rows dropped."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import DynamicCache

from workbench.engine.policy import Policy
from workbench.engine.prompts import PromptBatch


class Decoder:
    """Holds `logits`, the next token's for each of its rows. `advance` reads one token a row, `keep` drops rows."""

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

    def keep(self, goes_on: Bool[Tensor, " R"]) -> None:
        """Drop the rows where `goes_on` is False."""
        rows = goes_on.nonzero()[:, 0]
        self._cache.batch_select_indices(rows)
        self._next_position = self._next_position[rows]
        self._mask = None if self._mask is None else self._mask[rows]

    def _repeat(self, num_generations: int) -> None:
        self._cache.batch_repeat_interleave(num_generations)
        self.logits = self.logits.repeat_interleave(num_generations, dim=0)
        self._next_position = self._next_position.repeat_interleave(num_generations)
        if self._mask is not None:
            self._mask = self._mask.repeat_interleave(num_generations, dim=0)

    def _read(self, ids: Int[Tensor, "R S"], positions: Int[Tensor, "R S"]) -> None:
        logits = self._policy.logits(ids, self._mask, positions, num_last=1, cache=self._cache)
        self.logits = logits[:, -1].float()
