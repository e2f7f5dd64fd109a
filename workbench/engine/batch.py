"""Completions as one batch to be scored and trained on, and its micro-batches: rows of like length, trimmed."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.engine.policy import Policy
from workbench.engine.prompts import PromptBatch
from workbench.engine.sampling import Rollout
from workbench.grpo import exact_kl, logps_and_entropy, token_entropy

LOGITS_IN_A_PASS = 2**28  # a gibibyte in float32; the gradient needs as much again


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
        self, size: int, pairs: Int[Tensor, "N 2"] | None = None
    ) -> Iterator[tuple[Int[Tensor, " R"], "TokenBatch"]]:
        """Yield (row numbers, their batch): rows sorted by length, at most `size`, trimmed to the longest.

        The two rows of a pair come together, so where there are pairs, at least two rows do.
        """
        lengths = self.mask.sum(1)
        parts = lengths.argsort(stable=True).split(size) if pairs is None else _whole_pairs(lengths, pairs, size)
        for rows in parts:
            longest = max(1, int(lengths[rows].max()))
            yield rows, self._of_rows(rows, longest)

    def _of_rows(self, rows: Int[Tensor, " R"], length: int) -> "TokenBatch":
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


@dataclass(frozen=True, eq=False)
class Scores:
    """What a forward pass says of each completion token, in nats. Padding holds anything; mask it."""

    logps: Float[Tensor, "B T"]
    entropy: Float[Tensor, "B T"]
    exact_kl: Float[Tensor, "B T"] | None = None  # to the reference, over the whole vocabulary


def rows_per_pass(batch: TokenBatch, vocab_size: int, at_most: int) -> int:
    """Return how many rows to score at once: `at_most`, or fewer where their logits would need more than a gibibyte."""
    fitting = LOGITS_IN_A_PASS // (batch.mask.shape[1] * vocab_size)
    return max(1, min(at_most, fitting))


def completion_logits(policy: Policy, batch: TokenBatch) -> Float[Tensor, "B T V"]:
    """Return the logits that predicted each completion token: the last prompt token's predict the first."""
    ids, mask, positions = batch.sequences()
    num_tokens = batch.completion_ids.shape[1]
    return policy.logits(ids, mask, positions, num_last=num_tokens + 1)[:, :-1]


def score(
    policy: Policy, batch: TokenBatch, *, entropy_has_gradient: bool = False, has_exact_kl: bool = False
) -> Scores:
    """Return each completion token's log-probability (with gradient), entropy and, if asked for, exact KL.

    The entropy carries a gradient only if asked for; the KL costs a pass of the reference and always does.
    """
    ref_logits = None
    if has_exact_kl:
        with torch.no_grad(), policy.reference():
            ref_logits = completion_logits(policy, batch)
    logits = completion_logits(policy, batch)
    logps, entropy = logps_and_entropy(logits, batch.completion_ids, batch.temperature)
    if entropy_has_gradient:
        entropy = token_entropy(logits, batch.temperature)
    kl = None if ref_logits is None else exact_kl(logits, ref_logits, batch.temperature)
    return Scores(logps, entropy, kl)


@torch.no_grad()
def score_reference(policy: Policy, batch: TokenBatch, micro_batch_size: int) -> Float[Tensor, "B T"]:
    """Return each completion token's log-probability under the reference policy; 0 on padding."""
    ref_logps = torch.zeros(batch.mask.shape, device=policy.device)
    with policy.reference():
        for rows, micro in batch.micro_batches(micro_batch_size):
            logps = score(policy, micro).logps
            ref_logps[rows, : logps.shape[1]] = logps.masked_fill(~micro.mask, 0.0)
    return ref_logps


@torch.no_grad()
def score_exact_kl(policy: Policy, batch: TokenBatch, micro_batch_size: int) -> Float[Tensor, "B T"]:
    """Return KL(π‖π_ref) at each completion token, summed over the vocabulary, in nats; 0 on padding."""
    kl = torch.zeros(batch.mask.shape, device=policy.device)
    for rows, micro in batch.micro_batches(micro_batch_size):
        exact = score(policy, micro, has_exact_kl=True).exact_kl
        assert exact is not None, "it was asked for"
        kl[rows, : exact.shape[1]] = exact.masked_fill(~micro.mask, 0.0)
    return kl
