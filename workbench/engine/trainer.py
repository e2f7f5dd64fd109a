"""A run: an iterator of progress and step records. Whoever drives it decides when to call `next`."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from workbench.engine.clock import Clock
from workbench.engine.policy import Policy, choose_num_threads, load_policy
from workbench.engine.rewards import Judge, make_judge
from workbench.engine.step import grpo_step
from workbench.engine.vocabulary import Vocabulary
from workbench.run.config import RunConfig
from workbench.run.knobs import KnobBoard
from workbench.run.record import Progress, StepRecord
from workbench.tasks.base import Example
from workbench.tasks.prompts import examples_forever, load_examples
from workbench.tasks.registry import get_task


def train(
    config: RunConfig,
    board: KnobBoard,
    *,
    reward_funcs: Sequence[Callable[..., Any]] | None = None,
    adapter_folder: Path | None = None,
) -> Iterator[Progress | StepRecord]:
    """Yield Progress between any two tokens and updates, and a StepRecord at the end of each of `max_steps` steps.

    Nothing is loaded before the first `next`. Knobs are taken from `board` once a step. Closing the iterator ends the
    run between two tokens. Raises ConfigError for a model, dataset or reward that cannot be used, RewardError when a
    reward function fails, DivergedError when the logits are no longer finite.
    """
    yield Progress(0, "load")
    task = get_task(config.task)
    examples = _examples(config)
    judge = make_judge(config, task, reward_funcs)
    try:
        policy = load_policy(config)
        torch.set_num_threads(choose_num_threads(config, policy))
        yield from _steps(config, board, policy, judge, examples, adapter_folder)
    finally:
        judge.scorer.close()


def _steps(
    config: RunConfig,
    board: KnobBoard,
    policy: Policy,
    judge: Judge,
    examples: Iterator[Example],
    adapter_folder: Path | None,
) -> Iterator[Progress | StepRecord]:
    optimizer = torch.optim.AdamW(policy.trainable, weight_decay=config.weight_decay, fused=True)
    vocabulary = Vocabulary(policy.tokenizer)
    num_tokens = 0
    for step in range(1, config.max_steps + 1):
        clock = Clock(policy.device)
        chosen = list(islice(examples, config.prompts_per_step))
        stages = grpo_step(step, chosen, policy, optimizer, judge, vocabulary, config, board.take(), clock)
        record = yield from _timed(stages, clock)
        if adapter_folder is not None and (step % config.save_steps == 0 or step == config.max_steps):
            policy.save_adapter(adapter_folder)
        clock.lap("record")
        num_tokens += int(record.metrics["num_tokens"] or 0)
        totals = {"num_tokens": num_tokens, "step_time": sum(clock.read().values())}
        yield replace(record, metrics={**record.metrics, **totals}, timings=clock.read())


def _examples(config: RunConfig) -> Iterator[Example]:
    if config.dataset is None:
        return get_task(config.task).examples(config.seed)
    rows = load_examples(config.dataset, config.prompt_column, config.dataset_split)
    return examples_forever(rows, config.seed)


def _timed(stages: Generator[Progress, None, StepRecord], clock: Clock) -> Generator[Progress, None, StepRecord]:
    """Pass the stages on, with the clock stopped while the driver holds them."""
    try:
        while True:
            progress = next(stages)
            clock.stop()
            yield progress
            clock.start()
    except StopIteration as finished:
        return finished.value
    finally:
        stages.close()
