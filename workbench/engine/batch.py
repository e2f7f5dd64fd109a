"""Completions as one batch to be scored and trained on, and its micro-batches: rows of like length, trimmed."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.engine.policy import Policy
from workbench.engine.prompts import PromptBatch
from workbench.engine.sampling import Rollout
from workbench.grpo import logps_and_entropy

LOGITS_IN_A_PASS = 2**28  # a gibibyte in float32; the gradient needs as much again


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """Prompt and completion of `B` rows. `temperature` is the one they were sampled at: every scoring divides by it."""

    prompt_ids: Int[Tensor, "B S"]
    prompt_mask: Bool[Tensor, "B S"]
    completion_ids: Int[Tensor, "B T"]
    mask: Bool[Tensor, "B T"]
    temperature: float

    @classmethod
    def of(cls, prompts: PromptBatch, rollout: Rollout, num_generations: int, temperature: float) -> "TokenBatch":
        prompt_ids = prompts.ids.repeat_interleave(num_generations, dim=0)
        prompt_mask = prompts.mask.repeat_interleave(num_generations, dim=0)
        return cls(prompt_ids, prompt_mask, rollout.token_ids, rollout.mask, temperature)

    def micro_batches(self, size: int) -> Iterator[tuple[Int[Tensor, " R"], "TokenBatch"]]:
        """Yield (row numbers, their batch): rows sorted by length, at most `size`, trimmed to the longest."""
        lengths = self.mask.sum(1)
        for rows in lengths.argsort(stable=True).split(size):
            longest = max(1, int(lengths[rows].max()))
            yield rows, self._of_rows(rows, longest)

    def _of_rows(self, rows: Int[Tensor, " R"], length: int) -> "TokenBatch":
        return replace(
            self,
            prompt_ids=self.prompt_ids[rows],
            prompt_mask=self.prompt_mask[rows],
            completion_ids=self.completion_ids[rows, :length],
            mask=self.mask[rows, :length],
        )


def rows_per_pass(batch: TokenBatch, vocab_size: int, at_most: int) -> int:
    """Return how many rows to score at once: `at_most`, or fewer where their logits would need more than a gibibyte."""
    fitting = LOGITS_IN_A_PASS // (batch.mask.shape[1] * vocab_size)
    return max(1, min(at_most, fitting))


def score(policy: Policy, batch: TokenBatch) -> tuple[Float[Tensor, "B T"], Float[Tensor, "B T"]]:
    """Return each completion token's log-probability (with gradient) and its distribution's entropy (without), in nats.

    Padding holds whatever the model says there; mask it.
    """
    ids = torch.cat([batch.prompt_ids, batch.completion_ids], dim=1)
    mask = torch.cat([batch.prompt_mask, batch.mask], dim=1)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    num_tokens = batch.completion_ids.shape[1]
    # the logits after a token predict the next one: the last prompt token's predict the first completion token
    logits = policy.logits(ids, mask, positions, num_last=num_tokens + 1)[:, :-1]
    return logps_and_entropy(logits, batch.completion_ids, batch.temperature)


@torch.no_grad()
def score_reference(policy: Policy, batch: TokenBatch, micro_batch_size: int) -> Float[Tensor, "B T"]:
    """Return each completion token's log-probability under the reference policy; 0 on padding."""
    ref_logps = torch.zeros(batch.mask.shape, device=policy.device)
    with policy.reference():
        for rows, micro in batch.micro_batches(micro_batch_size):
            logps, _ = score(policy, micro)
            ref_logps[rows, : logps.shape[1]] = logps.masked_fill(~micro.mask, 0.0)
    return ref_logps
