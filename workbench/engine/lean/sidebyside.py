"""Decoding with the compiled step: the rows in parts, which are read at the same time."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.engine.lean.decoder import LeanDecoder
from workbench.engine.lean.onetoken import compiled_read, token_weights
from workbench.engine.lean.weights import LeanWeights
from workbench.engine.prompts import PromptBatch

ROWS_OF_A_PART = 32  # the same on any number of cores, so that equal seeds give equal runs


class SideBySide:
    """A lean decoder's rows in parts. An adapter must be folded into the weights, or off.

    With `at_once` each part is read on a thread of its own.
    """

    logits: Float[Tensor, "R V"]

    def __init__(
        self, weights: LeanWeights, prompts: PromptBatch, num_generations: int, room: int, *, at_once: bool
    ) -> None:
        whole = LeanDecoder(weights, prompts, num_generations, room)
        self.logits, self._parts = whole.logits, whole.split(ROWS_OF_A_PART)
        self._read, self._weights, self._at_once = compiled_read(), token_weights(weights), at_once

    @torch.no_grad()
    def advance(self, token_ids: Int[Tensor, " R"]) -> None:
        """Read one more token in every row."""
        ids = token_ids.split([part.num_rows for part in self._parts])
        rows = [part.before_reading(own) for part, own in zip(self._parts, ids, strict=True)]
        self.logits = self._read(self._weights, rows, self._at_once)

    def keep(self, stay: Int[Tensor, " K"]) -> Int[Tensor, " K"]:
        """Drop all but these rows, given in their order; return which row each one that is left was.

        `logits` are gone until `advance`.
        """
        first, parts, kept = 0, [], []
        for part in self._parts:
            size = part.num_rows
            own = stay[(stay >= first) & (stay < first + size)] - first
            if len(own):
                parts.append(part)
                kept.append(part.keep(own) + first)
            first += size
        self._parts = parts
        return torch.cat(kept)
