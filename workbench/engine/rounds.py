"""Iterative RL with a learned reward: rounds of steps, and the reward model trained anew before each.

Source: DeepSeekMath's algorithm 1, https://arxiv.org/abs/2402.03300
"""

from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import partial

import torch

from workbench.engine.clock import Clock
from workbench.engine.collect import sample_once
from workbench.engine.learned_reward import LEARNED_REWARD, LearnedReward, Pair
from workbench.engine.learner import Learner
from workbench.engine.metrics import finite_or_none
from workbench.engine.step import MakeRecord, train_step
from workbench.grpo import bradley_terry_loss, correlation, pair_accuracy, ranked_pairs
from workbench.run.knobs import Knobs
from workbench.run.record import Progress, StepRecord

NUM_FIRST_BATCHES = 4  # sampled before the first step, for the reward model alone


def step_of_round(step: int, learner: Learner, knobs: Knobs, clock: Clock) -> Generator[Progress, None, MakeRecord]:
    """Take one step against the learned reward; where a round begins, train the reward model first.

    The first training has samples of the policy as it starts; every later one has those of the round before, and a
    share of earlier ones.
    """
    config, learned = learner.config, learner.learned_reward
    assert learned is not None, "only a run with a learned reward has rounds"
    spent = {}
    if step == 1:
        spent = yield from _sample_pairs(learned, learner, knobs, clock)
    begins_round = (step - 1) % config.steps_per_round == 0
    if step == 1 or (begins_round and config.refresh_reward_model):
        yield from learned.train(step)
        clock.lap("reward_model")
    make_record = yield from train_step(step, learner, knobs, clock)
    record = make_record()
    learned.add(_pairs_of_record(record))
    counts = {name: (record.metrics[name] or 0) + number for name, number in spent.items()}
    own = {**reward_model_metrics(record), "round": float((step - 1) // config.steps_per_round + 1)}
    return partial(replace, record, metrics={**record.metrics, **counts, **own})


def reward_model_metrics(record: StepRecord) -> dict[str, float | None]:
    """Return the true reward, and how well the learned one ranks completions that it has not been trained on yet."""
    completions = [c for group in record.groups for c in group.completions]
    learned = _tensor([c.rewards[LEARNED_REWARD] for c in completions])
    true = _tensor([c.true_reward for c in completions])
    chosen, rejected = learned[ranked_pairs(true, record.knobs.num_generations).T]
    return finite_or_none(
        {
            "true_reward": true.nanmean().item(),
            "reward_model/accuracy": pair_accuracy(chosen, rejected).item(),
            "reward_model/loss": bradley_terry_loss(chosen, rejected).mean().item(),
            "reward_model/correlation": correlation(learned, true).item(),
        }
    )


def _sample_pairs(
    learned: LearnedReward, learner: Learner, knobs: Knobs, clock: Clock
) -> Generator[Progress, None, dict[str, int]]:
    """Sample for the first training; return what that adds to the step's counts of tokens."""
    num_read = num_written = 0
    for batch in range(1, NUM_FIRST_BATCHES + 1):
        samples = yield from sample_once(1, -batch, learner.config.prompts_per_step, learner, knobs, clock)
        assert samples.judgement.true_totals is not None, "a run with a learned reward knows the true one"
        texts = [samples.prompts.texts[row // samples.num_generations] + text for row, text in enumerate(samples.texts)]
        learned.add(_pairs(texts, samples.judgement.true_totals, samples.num_generations))
        num_read += samples.num_read
        num_written += samples.num_written
    return {"num_tokens": num_read + num_written, "num_completion_tokens": num_written}


def _pairs_of_record(record: StepRecord) -> list[Pair]:
    texts = [group.prompt + c.text for group in record.groups for c in group.completions]
    true = _tensor([c.true_reward for group in record.groups for c in group.completions])
    return _pairs(texts, true, record.knobs.num_generations)


def _pairs(texts: Sequence[str], true: torch.Tensor, num_generations: int) -> list[Pair]:
    pairs: list[list[int]] = ranked_pairs(true, num_generations).tolist()
    return [Pair(texts[better], texts[worse]) for better, worse in pairs]


def _tensor(values: Sequence[float | None]) -> torch.Tensor:
    return torch.tensor([torch.nan if value is None else value for value in values])
