"""Judged groups to advantages: one a completion, or with process supervision one a token."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from workbench.engine.collect import Samples
from workbench.engine.learner import Learner
from workbench.grpo import estimate_advantages, kl_penalty, process_advantages
from workbench.run.completion import StepMark
from workbench.run.knobs import Knobs
from workbench.tasks.base import StepReward, text_of


@dataclass(frozen=True, eq=False)
class Reference:
    """What the reference policy says of a step's completions; None where it was not asked."""

    logps: Float[Tensor, "B T"] | None
    exact_kl: Float[Tensor, "B T"] | None = None  # of the policy that sampled


@dataclass(frozen=True, eq=False)
class Advantages:
    """One for each completion (B,) or token (B, T), and where they came from."""

    values: Float[Tensor, " B"] | Float[Tensor, "B T"]
    marks: Sequence[tuple[StepMark, ...]] | None = None  # process supervision: each completion's steps
    critic: Float[Tensor, "B T"] | None = None  # what a critic expected at each token
    returns: Float[Tensor, "B T"] | None = None  # what it should have expected
    pairs: Int[Tensor, "N 2"] | None = None  # DPO: the rows of the best and the worst of each group


def estimate(samples: Samples, reference: Reference, learner: Learner, knobs: Knobs) -> Advantages:
    """Return GRPO's advantages, on the policy's device."""
    device = learner.policy.device
    if knobs.supervision == "process":
        supervised = _by_step(samples, learner, knobs)
        return Advantages(supervised.values.to(device), supervised.marks)
    values = estimate_advantages(
        samples.judgement.table(),
        learner.judge.weights_by_function(),
        samples.num_generations,
        advantage_estimator=knobs.advantage_estimator,
        scale_rewards=knobs.scale_rewards,
        std_ddof=knobs.std_ddof,
        std_eps=knobs.std_eps,
        pass_k=knobs.pass_k,
        penalty=_kl_penalty(samples, reference, knobs),
    )
    return Advantages(values.float().to(device))


def _kl_penalty(samples: Samples, reference: Reference, knobs: Knobs) -> Float[Tensor, " B"] | None:
    """Return what the KL takes off each completion's reward, or None where it is not in the reward."""
    if knobs.kl_in == "loss" or knobs.beta == 0:
        return None
    assert reference.logps is not None, "beta > 0 scores the reference"
    kl = kl_penalty(
        samples.rollout.logps,
        reference.logps,
        samples.rollout.mask,
        kl_estimator=knobs.kl_estimator,
        exact_kl=reference.exact_kl,
    )
    return knobs.beta * kl.cpu()


def _by_step(samples: Samples, learner: Learner, knobs: Knobs) -> Advantages:
    """Return DeepSeekMath's process advantages: each token's sum over the steps that end at or after it."""
    assert learner.step_rewards is not None, "a run with process supervision has step rewards: see run/check.py"
    found, ends = [], []
    for row, text in enumerate(samples.texts):
        example = samples.examples[row // samples.num_generations]
        steps = learner.step_rewards(text_of(example["prompt"]), text, example)
        token_ids = samples.rollout.token_ids[row][samples.rollout.mask[row]].tolist()
        found.append(steps)
        ends.append(_token_ends(learner.policy.tokenizer, token_ids, text, steps))
    advantages = process_advantages(
        [[step.reward for step in steps] for steps in found],
        [[end - 1 for end in row] for row in ends],
        samples.num_generations,
        samples.rollout.mask.shape[1],
        std_ddof=knobs.std_ddof,
        std_eps=knobs.std_eps,
    )
    marks = [
        tuple(StepMark(end, s.reward, z, s.reason) for end, s, z in zip(row, steps, normalised, strict=True))
        for row, steps, normalised in zip(ends, found, advantages.normalised, strict=True)
    ]
    return Advantages(advantages.advantages, marks)


def _token_ends(
    tokenizer: PreTrainedTokenizerBase, token_ids: list[int], text: str, steps: Sequence[StepReward]
) -> list[int]:
    """Return how many tokens it takes to write each step; the one that ends the text has the end-of-sequence token."""
    ends = []
    for step in steps:
        if step.end >= len(text):
            ends.append(len(token_ids))
            continue
        low, high = ends[-1] if ends else 0, len(token_ids)
        while low < high:
            middle = (low + high) // 2
            written = str(tokenizer.decode(token_ids[:middle], skip_special_tokens=True))
            low, high = (low, middle) if len(written) >= step.end else (middle + 1, high)
        ends.append(max(low, 1))
    return ends
