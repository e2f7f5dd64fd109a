"""The six methods side by side: they differ in three stages of a step, and in that PPO has a critic to teach.

DeepSeekMath's unified view: where the completions come from, what makes one count more than another, and by which
coefficient a token is then pushed. Source: DeepSeekMath, section 5.2, https://arxiv.org/abs/2402.03300
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass

import torch

from workbench.engine.advantages import Advantages, Reference, estimate
from workbench.engine.batch import TokenBatch
from workbench.engine.clock import Clock
from workbench.engine.collect import Samples, collect_from_reference, collect_samples
from workbench.engine.demonstrations import collect_demonstrations
from workbench.engine.learner import Learner
from workbench.engine.likelihood import Likelihood
from workbench.engine.objective import Objective, PolicyGradient
from workbench.engine.ppo import critic_advantages
from workbench.engine.preference import Preference
from workbench.errors import ConfigError
from workbench.grpo import BatchWeights, batch_weights, preference_pairs
from workbench.run.knobs import Knobs
from workbench.run.record import Progress


@dataclass(frozen=True)
class Stages:
    """What one method does where the methods differ."""

    collect: Callable[[int, Learner, Knobs, Clock], Generator[Progress, None, Samples]]
    estimate: Callable[[Samples, TokenBatch, Reference, Learner, Knobs], Advantages]
    objective: Callable[[Samples, TokenBatch, Reference, Advantages, Knobs], Objective]


def against_the_group(
    samples: Samples, batch: TokenBatch, reference: Reference, learner: Learner, knobs: Knobs
) -> Advantages:
    """Return GRPO's advantages: a completion against its group."""
    return estimate(samples, reference, learner, knobs)


def best_and_worst(
    samples: Samples, batch: TokenBatch, reference: Reference, learner: Learner, knobs: Knobs
) -> Advantages:
    """Return 1 for the best completion of a group, -1 for its worst, 0 for the others and where all are equal.

    Completions that are left out of the loss are in no pair.
    """
    totals = samples.judgement.totals.to(batch.mask.device)
    pairs = preference_pairs(totals.masked_fill(~batch.loss_mask.any(1), torch.nan), samples.num_generations)
    values = torch.zeros_like(totals, dtype=torch.float32)
    values[pairs[:, 0]], values[pairs[:, 1]] = 1.0, -1.0
    return Advantages(values, pairs=pairs)


def right_or_not(
    samples: Samples, batch: TokenBatch, reference: Reference, learner: Learner, knobs: Knobs
) -> Advantages:
    """Return 1 for a completion with the full true answer, as the record's `is_correct`, and 0 for any other.

    Raises ConfigError where it can be told of none.
    """
    correct = learner.judge.correctness(samples.judgement)
    if all(is_correct is None for is_correct in correct):
        raise ConfigError(
            f"method={learner.config.method!r} learns from correct completions, and nothing tells which of these are: "
            f"the first reward function of task={learner.config.task!r} would, and must be among the run's"
        )
    return Advantages(torch.tensor([float(is_correct is True) for is_correct in correct], device=batch.mask.device))


def all_alike(samples: Samples, batch: TokenBatch, reference: Reference, learner: Learner, knobs: Knobs) -> Advantages:
    """Return 1 for every completion."""
    return Advantages(torch.ones(len(batch.mask), device=batch.mask.device))


def policy_gradient(
    samples: Samples, batch: TokenBatch, reference: Reference, advantages: Advantages, knobs: Knobs
) -> Objective:
    """Return the loss that pushes a token by its advantage times its ratio."""
    return PolicyGradient(advantages.values, reference.logps, batch, _weights(samples, batch, knobs), knobs)


def preference(
    samples: Samples, batch: TokenBatch, reference: Reference, advantages: Advantages, knobs: Knobs
) -> Objective:
    """Return the loss that tells the pairs apart."""
    assert advantages.pairs is not None, "they are made of pairs"
    return Preference(reference.logps, batch, knobs, advantages.pairs)


def likelihood(
    samples: Samples, batch: TokenBatch, reference: Reference, advantages: Advantages, knobs: Knobs
) -> Objective:
    """Return the loss that makes the completions that count likelier, all alike."""
    weights = _weights(samples, batch, knobs).loss
    return Likelihood(reference.logps, batch, knobs, advantages.values > 0, weights, samples.is_own)


def _weights(samples: Samples, batch: TokenBatch, knobs: Knobs) -> BatchWeights:
    return batch_weights(
        knobs.loss_type,
        batch.loss_mask,
        max_completion_length=knobs.max_completion_length,
        entropies=samples.rollout.entropy,
        top_entropy_quantile=knobs.top_entropy_quantile,
    )


#                       completions               what counts        what is lowered
METHOD_STAGES: Mapping[str, Stages] = {
    "grpo": Stages(collect_samples, against_the_group, policy_gradient),
    "ppo": Stages(collect_samples, critic_advantages, policy_gradient),
    "dpo": Stages(collect_samples, best_and_worst, preference),
    "online_rft": Stages(collect_samples, right_or_not, likelihood),
    "rft": Stages(collect_from_reference, right_or_not, likelihood),
    "sft": Stages(collect_demonstrations, all_alike, likelihood),
}
