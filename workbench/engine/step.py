"""One GRPO step: the path of the data, one line a stage.

`prompt -> group sample -> reward -> advantage -> reference -> μ × (log-probs, ratio, KL, loss, update) -> record`
"""

from collections.abc import Generator, Sequence

import torch

from workbench.engine.batch import TokenBatch, rows_per_pass, score_reference
from workbench.engine.clock import Clock
from workbench.engine.measure import StepData, measure
from workbench.engine.policy import Policy
from workbench.engine.prompts import encode_prompts
from workbench.engine.rewards import Judge, judge_completions
from workbench.engine.sampling import sample_groups
from workbench.engine.update import update_policy
from workbench.engine.vocabulary import Vocabulary
from workbench.grpo import group_advantages
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs
from workbench.run.record import Progress, StepRecord
from workbench.tasks.base import Example


def grpo_step(
    step: int,
    examples: Sequence[Example],
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    judge: Judge,
    vocabulary: Vocabulary,
    config: RunConfig,
    knobs: Knobs,
    clock: Clock,
) -> Generator[Progress, None, StepRecord]:
    """Sample a group for each example, move the policy μ times, and return what happened; yield progress on the way."""
    G = knobs.num_generations
    prompts = encode_prompts(policy, [example["prompt"] for example in examples])
    generator = torch.Generator(policy.device).manual_seed(config.seed * 1_000_003 + step)

    rollout = yield from sample_groups(policy, prompts, knobs, step=step, generator=generator)
    clock.lap("sample")

    yield Progress(step, "reward")
    token_ids = [ids[kept].tolist() for ids, kept in zip(rollout.token_ids.cpu(), rollout.mask.cpu(), strict=True)]
    texts = policy.tokenizer.batch_decode(token_ids, skip_special_tokens=True)
    judgement = judge_completions(judge, examples, texts, token_ids, G)
    clock.lap("reward")

    yield Progress(step, "advantage")
    advantages = group_advantages(judgement.totals, G, scale_rewards=knobs.scale_rewards).to(policy.device)
    batch = TokenBatch.of(prompts, rollout, G, knobs.temperature)

    yield Progress(step, "score")
    rows = rows_per_pass(batch, policy.model.config.vocab_size, config.micro_batch_size)
    needs_reference = knobs.beta != 0 or config.score_reference
    ref_logps = score_reference(policy, batch, rows) if needs_reference else None
    clock.lap("score")

    updates = yield from update_policy(
        policy,
        optimizer,
        batch,
        ref_logps,
        advantages,
        knobs,
        step=step,
        micro_batch_size=rows,
        max_grad_norm=config.max_grad_norm,
    )
    clock.lap("update")

    yield Progress(step, "record")
    data = StepData(step, knobs, examples, prompts, rollout, texts, judgement, advantages, ref_logps, updates)
    return measure(data, judge, vocabulary)
