"""A run: an iterator of progress and step records. Whoever drives it decides when to call `next`."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from workbench.engine.clock import Clock
from workbench.engine.critic import load_critic
from workbench.engine.learned_reward import load_learned_reward
from workbench.engine.learner import Learner
from workbench.engine.limits import Yardstick
from workbench.engine.lora import has_plain_layers
from workbench.engine.policy import load_policy
from workbench.engine.rewards import against_learned, make_judge
from workbench.engine.rounds import step_of_round
from workbench.engine.step import MakeRecord, train_step
from workbench.engine.threads import use_more_threads, use_threads
from workbench.engine.vocabulary import Vocabulary
from workbench.run.config import RunConfig
from workbench.run.knobs import KnobBoard
from workbench.run.record import Finished, Progress, StepRecord
from workbench.tasks.base import Example
from workbench.tasks.prompts import examples_forever, load_examples
from workbench.tasks.registry import get_task
from workbench.tasks.rewards import load_step_rewards

_COUNTS = ("num_tokens", "num_completion_tokens")  # a step measures its own; a run adds them up


def train(
    config: RunConfig,
    board: KnobBoard,
    *,
    reward_funcs: Sequence[Callable[..., Any]] | None = None,
    adapter_folder: Path | None = None,
    records_beside: bool = False,
) -> Generator[Progress | StepRecord | Finished, None, None]:
    """Yield Progress between any two tokens and updates, and a StepRecord at the end of each of `max_steps` steps.

    With `records_beside` a step ends with Finished instead: another thread may make the record and write the adapter
    while the next step is taken. They must be made in order.

    Nothing is loaded before the first `next`. Knobs are taken from `board` once a step. Closing the iterator ends the
    run between two tokens. Raises ConfigError for a model, dataset or reward that cannot be used, RewardError when a
    reward function fails, DivergedError when the logits are no longer finite.
    """
    yield Progress(0, "load")
    task = get_task(config.task)
    examples = _examples(config)
    judge = make_judge(config, task, reward_funcs)
    num_threads = torch.get_num_threads()  # the caller's, who goes on when the run is over
    try:
        policy = load_policy(config)
        use_threads(config, policy)
        optimizer = torch.optim.AdamW(
            policy.trainable, weight_decay=config.weight_decay, fused=config.uses("fused_adamw")
        )
        has_steps = config.step_rewards is not None or task.step_rewards is not None
        step_rewards = load_step_rewards(config.step_rewards, task) if has_steps else None
        learned = load_learned_reward(config, policy) if config.learn_reward else None
        if learned is not None:
            judge = against_learned(judge, learned.model)
        critic = load_critic(config, policy) if config.method == "ppo" else None
        learner = Learner(
            config,
            task,
            policy,
            optimizer,
            examples,
            judge,
            Vocabulary(policy.tokenizer),
            step_rewards,
            learned,
            critic,
            Yardstick.of(policy) if has_plain_layers(policy.model) else None,
        )
        yield from _steps(learner, board, adapter_folder, records_beside)
    finally:
        judge.scorer.close()
        torch.set_num_threads(num_threads)


def _steps(
    learner: Learner, board: KnobBoard, adapter_folder: Path | None, records_beside: bool
) -> Iterator[Progress | StepRecord | Finished]:
    config = learner.config
    counted: dict[str, int] = dict.fromkeys(_COUNTS, 0)
    for step in range(1, config.max_steps + 1):
        if step > 1 and step.bit_count() == 1:
            _test_machine_again(learner)
        clock = Clock(learner.policy.device)
        stages = train_step if learner.learned_reward is None else step_of_round
        make_record = yield from _timed(stages(step, learner, board.take(), clock), clock)
        if config.sync_ref_model and step % config.ref_model_sync_steps == 0:
            learner.policy.reset_reference()
        is_due = step % config.save_steps == 0 or step == config.max_steps
        save = learner.policy.saving_adapter(adapter_folder) if adapter_folder is not None and is_due else None
        if records_beside:
            clock.lap("record")
            yield Finished(step, partial(_finish, make_record, save, counted, clock))
        else:
            record = _finish(make_record, save, counted, clock)
            clock.lap("record")
            yield _with_times(record, clock)  # that of the record included


def _finish(
    make_record: MakeRecord, save: Callable[[], None] | None, counted: dict[str, int], clock: Clock
) -> StepRecord:
    """Write the adapter, if it is due, and make the step's record; its counts are those of the run so far."""
    if save is not None:
        save()
    record = make_record()
    counted |= {name: total + int(record.metrics[name] or 0) for name, total in counted.items()}
    return _with_times(replace(record, metrics={**record.metrics, **counted}), clock)


def _with_times(record: StepRecord, clock: Clock) -> StepRecord:
    timings = clock.read()
    return replace(record, metrics={**record.metrics, "step_time": sum(timings.values())}, timings=timings)


def _test_machine_again(learner: Learner) -> None:
    """Measure once more, at steps 2, 4, 8 …: at the start of a run much else goes on, and the page is being drawn."""
    if learner.policy.device.type != "cpu":
        return
    use_more_threads(learner.config, learner.policy)
    if learner.yardstick is not None:
        learner.yardstick = learner.yardstick.again(learner.policy)


def _examples(config: RunConfig) -> Iterator[Example]:
    if config.dataset is None:
        return get_task(config.task).examples(config.seed)
    rows = load_examples(config.dataset, config.prompt_column, config.dataset_split)
    return examples_forever(rows, config.seed)


def _timed(stages: Generator[Progress, None, MakeRecord], clock: Clock) -> Generator[Progress, None, MakeRecord]:
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
