"""Forward passes: each completion token's log-probability under the policy or the reference."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from workbench.engine.batch import TokenBatch
from workbench.engine.lean.forward import states
from workbench.engine.lean.head import TokenLogps
from workbench.engine.lean.packed import Packed
from workbench.engine.lean.weights import LeanWeights
from workbench.engine.lean.wholepass import WholePass
from workbench.engine.parallel import in_parallel
from workbench.engine.policy import Policy
from workbench.grpo import exact_kl, logps_and_entropy, token_entropy

LOGITS_IN_A_PASS = 2**28  # a gibibyte in float32; the gradient needs as much again
BYTES_IN_A_PASS = 2**32  # of what our own forward pass keeps for the gradient
ROWS_OF_A_WORKER = 32  # where parts are worked on at the same time
Part = tuple[Int[Tensor, " R"], TokenBatch]  # row numbers, and their batch
States = Callable[[Packed], Float[Tensor, "M I"]]  # the final state that predicts each completion token


@dataclass(frozen=True, eq=False)
class Scores:
    """What a forward pass says of each completion token, in nats. Padding holds anything; mask it."""

    logps: Float[Tensor, "B T"]
    entropy: Float[Tensor, "B T"]
    exact_kl: Float[Tensor, "B T"] | None = None  # to the reference, over the whole vocabulary


class Scorer(ABC):
    """Forward passes with the weights as they were when it was made. `num_workers` parts may be scored at a time."""

    num_workers = 1

    @property
    def is_compiled(self) -> bool:
        """Return whether some part went through the compiled pass."""
        return False

    @abstractmethod
    def score(self, batch: TokenBatch, *, entropy_has_gradient: bool = False) -> Scores:
        """Return each completion token's log-probability (with gradient), entropy and, if it was asked for, exact KL.

        The entropy carries a gradient only if asked for; the exact KL always does.
        """

    @abstractmethod
    def parts(self, batch: TokenBatch, size: int, pairs: Int[Tensor, "N 2"] | None = None) -> Sequence[Part]:
        """Return the batch in parts of at most `size` rows. The two rows of a pair come together."""


@dataclass(frozen=True, eq=False)
class PlainScorer(Scorer):
    """transformers' own forward pass, over padded rows."""

    policy: Policy
    has_exact_kl: bool

    def score(self, batch: TokenBatch, *, entropy_has_gradient: bool = False) -> Scores:
        ref_logits = None
        if self.has_exact_kl:
            with torch.no_grad(), self.policy.reference():
                ref_logits = completion_logits(self.policy, batch)
        logits = completion_logits(self.policy, batch)
        return Scores(*_scores(logits, ref_logits, batch.completion_ids, batch.temperature, entropy_has_gradient))

    def parts(self, batch: TokenBatch, size: int, pairs: Int[Tensor, "N 2"] | None = None) -> Sequence[Part]:
        rows = rows_per_pass(batch, self.policy.model.config.vocab_size, size)
        return list(batch.micro_batches(rows, pairs, is_sorted="length_sorted" in self.policy.fast_paths))


@dataclass(frozen=True, eq=False)
class LeanScorer(Scorer):
    """Our own forward pass, over the tokens alone."""

    weights: LeanWeights
    states: States
    reference: States | None  # for the exact KL
    holds_logits: bool  # of a whole part: the exact KL and the entropy's gradient need them
    shares_prompts: bool
    most_rows: int  # the same however many workers there are, so that equal seeds give equal runs
    num_workers: int

    @property
    def is_compiled(self) -> bool:
        return isinstance(self.states, WholePass) and self.states.is_used

    def score(self, batch: TokenBatch, *, entropy_has_gradient: bool = False) -> Scores:
        packed = batch.packed(shares_prompts=self.shares_prompts)
        head, temperature = self.weights.head, batch.temperature
        predicting = self.states(packed)
        if self.reference is None and not entropy_has_gradient:
            logps, entropy = TokenLogps.apply(predicting, head, packed.targets, temperature)  # type: ignore[misc]
            return Scores(packed.padded(logps), packed.padded(entropy))
        ref_logits = None
        if self.reference is not None:
            with torch.no_grad():
                ref_logits = F.linear(self.reference(packed), head)
        logits = F.linear(predicting, head)
        scores = _scores(logits, ref_logits, packed.targets, temperature, entropy_has_gradient)
        return Scores(*(None if score is None else packed.padded(score) for score in scores))  # type: ignore[arg-type]

    def parts(self, batch: TokenBatch, size: int, pairs: Int[Tensor, "N 2"] | None = None) -> Sequence[Part]:
        longest = batch.prompt_ids.shape[1] + batch.mask.shape[1]
        fitting = max(1, BYTES_IN_A_PASS // (longest * self.weights.bytes_per_token))
        if self.holds_logits:
            fitting = rows_per_pass(batch, len(self.weights.head), fitting)
        return batch.even_parts(min(size, fitting, self.most_rows), pairs)


def scorer_of(policy: Policy, *, has_exact_kl: bool = False, entropy_has_gradient: bool = False) -> Scorer:
    """Return what scores with the policy as it is now: with the reference's weights within `policy.reference()`.

    `entropy_has_gradient` says whether any `score` will ask for that.
    """
    if "lean_model" not in policy.fast_paths:
        return PlainScorer(policy, has_exact_kl)
    reference = policy.lean_reference() if has_exact_kl else None
    holds_logits = has_exact_kl or entropy_has_gradient
    return _lean_scorer(policy, policy.lean_weights(), reference, holds_logits)


def _lean_scorer(
    policy: Policy, weights: LeanWeights, reference: LeanWeights | None = None, holds_logits: bool = False
) -> LeanScorer:
    return LeanScorer(
        weights=weights,
        states=_states(policy, weights),
        reference=None if reference is None else _states(policy, reference),
        holds_logits=holds_logits,
        shares_prompts="shared_prompt" in policy.fast_paths,
        most_rows=ROWS_OF_A_WORKER if "parallel_parts" in policy.fast_paths else sys.maxsize,
        num_workers=policy.num_workers,
    )


def _states(policy: Policy, weights: LeanWeights) -> States:
    return WholePass(weights) if "compiled_pass" in policy.fast_paths else partial(states, weights)


def score(
    policy: Policy, batch: TokenBatch, *, entropy_has_gradient: bool = False, has_exact_kl: bool = False
) -> Scores:
    """Return the scores of the whole batch in one pass: see `Scorer`."""
    return scorer_of(policy, has_exact_kl=has_exact_kl).score(batch, entropy_has_gradient=entropy_has_gradient)


def _scores(
    logits: Float[Tensor, "*N V"],
    ref_logits: Float[Tensor, "*N V"] | None,
    token_ids: Int[Tensor, "*N"],
    temperature: float,
    entropy_has_gradient: bool,
) -> tuple[Float[Tensor, "*N"], Float[Tensor, "*N"], Float[Tensor, "*N"] | None]:
    """Return log-probabilities, entropies and, where there are logits of the reference, the exact KL."""
    logps, entropy = logps_and_entropy(logits, token_ids, temperature)
    if entropy_has_gradient:
        entropy = token_entropy(logits, temperature)
    return logps, entropy, None if ref_logits is None else exact_kl(logits, ref_logits, temperature)


def rows_per_pass(batch: TokenBatch, vocab_size: int, at_most: int) -> int:
    """Return how many rows to score at once: `at_most`, or fewer where their logits would need more than a gibibyte."""
    fitting = LOGITS_IN_A_PASS // (batch.mask.shape[1] * vocab_size)
    return max(1, min(at_most, fitting))


def completion_logits(policy: Policy, batch: TokenBatch) -> Float[Tensor, "B T V"]:
    """Return the logits that predicted each completion token: the last prompt token's predict the first."""
    ids, mask, positions = batch.sequences()
    num_tokens = batch.completion_ids.shape[1]
    return policy.logits(ids, mask, positions, num_last=num_tokens + 1)[:, :-1]


@torch.no_grad()
def score_policy(policy: Policy, batch: TokenBatch, micro_batch_size: int) -> Float[Tensor, "B T"]:
    """Return each completion token's log-probability under the policy as it is, without gradient; 0 on padding."""
    return _filled(scorer_of(policy), batch, micro_batch_size, "logps")


@torch.no_grad()
def score_reference(policy: Policy, batch: TokenBatch, micro_batch_size: int) -> Float[Tensor, "B T"]:
    """Return each completion token's log-probability under the reference policy; 0 on padding."""
    if "lean_model" in policy.fast_paths:
        return _filled(_lean_scorer(policy, policy.lean_reference()), batch, micro_batch_size, "logps")
    with policy.reference():
        return score_policy(policy, batch, micro_batch_size)


@torch.no_grad()
def score_exact_kl(policy: Policy, batch: TokenBatch, micro_batch_size: int) -> Float[Tensor, "B T"]:
    """Return KL(π‖π_ref) at each completion token, summed over the vocabulary, in nats; 0 on padding."""
    return _filled(scorer_of(policy, has_exact_kl=True), batch, micro_batch_size, "exact_kl")


def _filled(scorer: Scorer, batch: TokenBatch, size: int, name: str) -> Float[Tensor, "B T"]:
    """Return one of the scores for all rows; 0 on padding."""
    parts = scorer.parts(batch, size)
    found = in_parallel(lambda part: getattr(scorer.score(part[1]), name), parts, scorer.num_workers)
    whole = torch.zeros(batch.mask.shape, device=batch.mask.device)
    for (rows, part), values in zip(parts, found, strict=True):
        whole[rows, : values.shape[1]] = values.masked_fill(~part.mask, 0.0)
    return whole
