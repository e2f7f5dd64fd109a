"""Prompts to judged groups: sample, score, and with dynamic sampling draw new prompts in place of dead groups."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformers import TrainerState

from workbench.engine.clock import Clock
from workbench.engine.learner import Learner
from workbench.engine.policy import Policy
from workbench.engine.prompts import PromptBatch, encode_prompts
from workbench.engine.rewards import Judge, Judgement, join_judgements, judge_completions
from workbench.engine.rollout import Rollout, join_rollouts
from workbench.engine.sampling import sample_groups
from workbench.grpo import is_dead
from workbench.run.knobs import Knobs
from workbench.run.record import Progress
from workbench.tasks.base import Example


@dataclass(frozen=True, eq=False)
class Samples:
    """A step's judged completions: `B` rows, those of a prompt next to each other."""

    examples: Sequence[Example]
    prompts: PromptBatch
    rollout: Rollout
    texts: Sequence[str]
    judgement: Judgement
    temperature: float  # that they were sampled at, and are scored at
    is_own: bool = True  # the policy that learns from them wrote them
    num_rounds: int = 1  # of sampling
    num_discarded_groups: int = 0
    num_discarded_read: int = 0  # prompt tokens of discarded groups
    num_discarded_written: int = 0  # completion tokens of discarded groups

    @property
    def num_generations(self) -> int:
        return len(self.texts) // len(self.examples)

    @property
    def num_read(self) -> int:
        """The prompt tokens, once for each completion, those of discarded groups too."""
        return int(self.prompts.mask.sum()) * self.num_generations + self.num_discarded_read

    @property
    def num_written(self) -> int:
        """The completion tokens, those of discarded groups too."""
        return int(self.rollout.mask.sum()) + self.num_discarded_written

    @property
    def num_tokens(self) -> int:
        return self.num_read + self.num_written


def collect_samples(step: int, learner: Learner, knobs: Knobs, clock: Clock) -> Generator[Progress, None, Samples]:
    """Return the judged groups of a step's prompts, yielding on the way.

    Dynamic sampling: groups whose rewards are all equal are thrown away and new prompts drawn, for at most
    `max_num_gen_batches` rounds; what the last round leaves dead stays. Source: DAPO, https://arxiv.org/abs/2503.14476
    """
    num_prompts = learner.config.prompts_per_step
    samples = yield from sample_once(step, 0, num_prompts, learner, knobs, clock)
    for round in range(1, knobs.max_num_gen_batches):
        dead = is_dead(samples.judgement.totals, knobs.num_generations)
        if not dead.any():
            break
        fresh = yield from sample_once(step, round, int(dead.sum()), learner, knobs, clock)
        samples = _replaced(samples, dead, fresh, learner)
    return samples


def collect_from_reference(
    step: int, learner: Learner, knobs: Knobs, clock: Clock
) -> Generator[Progress, None, Samples]:
    """Return the judged groups that the reference policy samples, however far the policy has moved from it."""
    with learner.policy.reference():
        samples = yield from collect_samples(step, learner, knobs, clock)
    return replace(samples, is_own=False)


def sample_once(
    step: int, round: int, num_prompts: int, learner: Learner, knobs: Knobs, clock: Clock
) -> Generator[Progress, None, Samples]:
    """Return judged groups of the next prompts; `round` tells apart what is drawn within a step."""
    policy = learner.policy
    examples = list(islice(learner.examples, num_prompts))
    prompts = encode_prompts(policy, [example["prompt"] for example in examples])
    rollout = yield from sample_groups(policy, prompts, knobs, step=step, generator=learner.generator(step, round))
    clock.lap("sample")

    yield Progress(step, "reward")
    state = TrainerState(global_step=step - 1, max_steps=learner.config.max_steps)
    samples = judge_rollout(examples, prompts, rollout, policy, learner.judge, knobs.temperature, state)
    clock.lap("reward")
    return samples


def judge_rollout(
    examples: Sequence[Example],
    prompts: PromptBatch,
    rollout: Rollout,
    policy: Policy,
    judge: Judge,
    temperature: float,
    trainer_state: TrainerState | None = None,
) -> Samples:
    """Return the completions, as many of each example, with their texts and rewards."""
    lengths = rollout.lengths.tolist()
    token_ids = [ids[:length] for ids, length in zip(rollout.token_ids.tolist(), lengths, strict=True)]
    texts = [str(text) for text in policy.tokenizer.batch_decode(token_ids, skip_special_tokens=True)]
    judgement = judge_completions(judge, examples, texts, token_ids, len(texts) // len(examples), trainer_state)
    return Samples(examples, prompts, rollout, texts, judgement, temperature)


def _replaced(samples: Samples, dead: Bool[Tensor, " P"], fresh: Samples, learner: Learner) -> Samples:
    """Return the samples with their dead groups replaced by fresh ones, at the end."""
    kept = (~dead).nonzero()[:, 0]
    rows = _rows_of(kept, samples.num_generations)
    discarded = _rows_of(dead.nonzero()[:, 0], samples.num_generations)
    examples = [samples.examples[i] for i in kept.tolist()] + list(fresh.examples)
    policy = learner.policy
    on_device, kept_rows = rows.to(policy.device), [int(row) for row in rows]
    num_read = int(samples.prompts.mask[dead.to(policy.device)].sum()) * samples.num_generations
    num_written = int(samples.rollout.mask[discarded.to(policy.device)].sum())
    return Samples(
        examples=examples,
        prompts=encode_prompts(policy, [example["prompt"] for example in examples]),
        rollout=join_rollouts([samples.rollout.of_rows(on_device), fresh.rollout], policy.pad_id),
        texts=[samples.texts[i] for i in kept_rows] + list(fresh.texts),
        judgement=join_judgements(samples.judgement.of_rows(kept_rows), fresh.judgement),
        temperature=samples.temperature,
        num_rounds=samples.num_rounds + 1,
        num_discarded_groups=samples.num_discarded_groups + int(dead.sum()),
        num_discarded_read=samples.num_discarded_read + num_read,
        num_discarded_written=samples.num_discarded_written + num_written,
    )


def _rows_of(groups: Int[Tensor, " N"], num_generations: int) -> Int[Tensor, " R"]:
    return (groups[:, None] * num_generations + torch.arange(num_generations)).flatten()
