"""Sampling with the compiled loop: the rows in parts, each of which runs to its end without waiting for the others."""

import time
from collections.abc import Generator
from threading import Condition
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.engine.drawing import NOT_FINITE
from workbench.engine.lean.compiled import compiled
from workbench.engine.lean.decoder import LeanDecoder
from workbench.engine.lean.manytokens import Noted, SamplingOptions, SamplingState, sample_rows
from workbench.engine.lean.onetoken import Rows
from workbench.engine.lean.products import in_pairs, products, turns
from workbench.engine.parallel import in_background
from workbench.engine.policy import Policy
from workbench.engine.prompts import PromptBatch
from workbench.engine.rollout import LOGITS_NOTED_AT_ONCE, Rollout, empty_rollout
from workbench.errors import DivergedError
from workbench.run.knobs import Knobs
from workbench.run.record import Progress

ROWS_OF_A_PART = 32  # the same on any number of cores, so that equal seeds give equal runs
LOOK_EVERY = 0.002  # seconds
AHEAD, LEAST_AHEAD = 0.25, 4  # seconds, and tokens, that the parts may go on for while nobody looks


def is_side_by_side(policy: Policy) -> bool:
    """Return whether the policy's completions are sampled by the compiled loop."""
    return "compiled_decode" in policy.fast_paths


def sample_side_by_side(
    policy: Policy, prompts: PromptBatch, knobs: Knobs, length: int, *, step: int, generator: torch.Generator
) -> Generator[Progress, None, Rollout]:
    """Sample as `sample_groups` does, at most `length` tokens, on other threads; yield the mean of the parts' tokens.

    While the caller holds the generator they go on for a quarter of a second or four tokens, whichever is longer; when
    it is closed they end within a token. Raises DivergedError when the logits are not finite.
    """
    num_rows = len(prompts.texts) * knobs.num_generations
    chances = torch.rand(length, num_rows, generator=generator, dtype=torch.float64)
    rollout = empty_rollout(policy, num_rows, length)
    sampling = _Sampling(policy, prompts, knobs, chances, rollout)
    starts = range(0, num_rows, ROWS_OF_A_PART if policy.is_tiny else num_rows)
    counts = torch.zeros(len(starts), dtype=torch.long)
    parts = [_Part(i, min(i + starts.step, num_rows), count) for i, count in zip(starts, counts, strict=True)]
    shown, began, is_over = 0, time.perf_counter(), False
    with in_background(sampling.sample, parts, policy.num_workers) as work:
        try:
            while not is_over:
                pace = int(counts.sum()) / (time.perf_counter() - began)
                sampling.allow(int(counts.max()) + LEAST_AHEAD + int(AHEAD * pace))
                is_over = work.is_over(within=LOOK_EVERY)
                while shown < int(counts.sum()) // len(parts):
                    shown += 1
                    yield Progress(step, "sample", shown, length)
        finally:
            work.begin_no_more()
            sampling.allow(None)
    if not all(work.results()):
        raise DivergedError(NOT_FINITE)
    return rollout.trimmed()


class _Part(NamedTuple):
    first: int
    last: int  # the row behind the last one
    num_drawn: Int[Tensor, ""]  # counted up by the thread that samples it


class _Sampling:
    """What the parts have in common."""

    @torch.no_grad()
    def __init__(
        self, policy: Policy, prompts: PromptBatch, knobs: Knobs, chances: Float[Tensor, "T R"], rollout: Rollout
    ) -> None:
        self._limit, self._is_closed, self._changed = torch.ones((), dtype=torch.long), False, Condition()
        num_generations = knobs.num_generations
        if "shared_prefill" not in policy.fast_paths:
            prompts, num_generations = prompts.repeated(num_generations), 1
        weights = policy.lean_rollout()
        self._prompts = LeanDecoder(weights, prompts, 1, 0)
        self._prompt_of = torch.arange(len(prompts.texts)).repeat_interleave(num_generations)
        self._num_padding = (~prompts.mask).sum(1) if prompts.has_padding else None
        self._sample_rows, self._weights = compiled(sample_rows), products(weights, for_few_rows=True)
        self._turns = turns(weights, torch.arange(prompts.ids.shape[1] + len(chances)))
        self._chances, self._rollout = chances, rollout
        self._options = SamplingOptions(
            temperature=knobs.temperature,
            top_k=knobs.top_k,
            top_p=knobs.top_p,
            eos_ids=torch.tensor(policy.eos_ids),
            drops_rows="row_compaction" in policy.fast_paths,
            num_noted_at_once=LOGITS_NOTED_AT_ONCE,
        )

    def allow(self, num_tokens: int | None) -> None:
        """Have the parts draw so many tokens a row in all, and then wait; with None have them end."""
        with self._changed:
            self._is_closed = num_tokens is None
            self._limit.fill_(num_tokens or 0)
            self._changed.notify_all()

    @torch.no_grad()
    def sample(self, part: _Part) -> bool:
        """Sample the part's rows; return whether all logits were finite."""
        own = slice(part.first, part.last)
        prompt_of = self._prompt_of[own]
        alive = torch.ones(len(prompt_of), dtype=torch.bool)
        state = SamplingState(
            self._rows(prompt_of), self._prompts.logits[prompt_of], 0, torch.arange(len(alive)), alive, False, True
        )
        noted = Noted(**{name: getattr(self._rollout, name)[own] for name in Noted._fields})
        while self._may_go_on(state.t, state.is_over):
            state = self._sample_rows(
                self._weights, state, self._chances[:, own], self._options, noted, part.num_drawn, self._limit
            )
        return state.is_finite

    def _may_go_on(self, t: int, is_over: bool) -> bool:
        """Wait until token `t` may be drawn; return False when there is none, or never will be."""
        with self._changed:
            self._changed.wait_for(lambda: is_over or self._is_closed or t < self._limit)
        return not (is_over or self._is_closed)

    def _rows(self, prompt_of: Int[Tensor, " R"]) -> Rows:
        """Return the prompts' memory for each row, with room for what it will read."""
        room, memory = len(self._turns), []
        for keys, values in self._prompts.memory:
            num_kv, longest, width = keys.shape[1:]
            wider = keys.new_empty(2, len(prompt_of), num_kv, room, width)
            wider[0, :, :, :longest] = keys[..., in_pairs(width)][prompt_of]
            wider[1, :, :, :longest] = values[prompt_of]
            memory.append(wider)
        if self._num_padding is None:
            return Rows(memory, self._turns, None, None)
        num_padding = self._num_padding[prompt_of]
        is_padding = torch.arange(room) < num_padding.repeat_interleave(num_kv)[:, None]
        hides = torch.zeros(is_padding.shape).masked_fill_(is_padding, float("-inf"))
        return Rows(memory, self._turns, num_padding, hides[:, None])
