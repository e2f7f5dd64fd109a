"""Helpers of the engine's tests: driving generators, making batches, and reading a record's arrays."""

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import torch

from workbench.engine.batch import TokenBatch
from workbench.engine.policy import Policy
from workbench.engine.prompts import PromptBatch, encode_prompts
from workbench.engine.rollout import Rollout
from workbench.engine.sampling import sample_groups
from workbench.engine.trainer import train
from workbench.run.completion import CompletionRecord
from workbench.run.config import RunConfig
from workbench.run.knobs import KnobBoard, Knobs
from workbench.run.record import StepRecord

T = TypeVar("T")
PROMPTS = ("12+34=?", "7=?", "a much longer prompt: 1+2=?")


def finish(generator: Generator[Any, None, T]) -> T:
    """Drive a generator to its end and return what it returns."""
    try:
        while True:
            next(generator)
    except StopIteration as finished:
        return finished.value


def sample(
    policy: Policy, knobs: Knobs, prompts: Sequence[Any] = PROMPTS, seed: int = 0
) -> tuple[PromptBatch, Rollout]:
    encoded = encode_prompts(policy, prompts)
    generator = torch.Generator(policy.device).manual_seed(seed)
    return encoded, finish(sample_groups(policy, encoded, knobs, step=1, generator=generator))


def sample_batch(policy: Policy, knobs: Knobs, prompts: Sequence[Any] = PROMPTS, seed: int = 0) -> TokenBatch:
    encoded, rollout = sample(policy, knobs, prompts, seed)
    return TokenBatch.of(encoded, rollout, knobs.num_generations, knobs.temperature)


def run_steps(config: RunConfig, knobs: Knobs, num_steps: int | None = None, **options: Any) -> list[StepRecord]:
    """Return the records of a run's first steps, all of them if `num_steps` is None."""
    engine = train(config, KnobBoard(knobs), **options)
    records: list[StepRecord] = []
    try:
        for event in engine:
            if isinstance(event, StepRecord):
                records.append(event)
            if len(records) == num_steps:
                break
    finally:
        engine.close()
    return records


def completions_of(record: StepRecord) -> Iterator[CompletionRecord]:
    for group in record.groups:
        yield from group.completions


def tokens_of(record: StepRecord, read: Callable[[CompletionRecord], np.ndarray]) -> np.ndarray:
    """Return one number for each completion token of a step, end to end."""
    return np.concatenate([read(completion) for completion in completions_of(record)])


def adapter_of(policy: Policy) -> torch.Tensor:
    """Return a copy of all trainable weights as one vector."""
    return torch.cat([weight.detach().flatten().float().cpu() for weight in policy.trainable])
