"""SFT's completions: demonstrations, which the policy reads instead of writing its own."""

import random
from collections.abc import Generator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.engine.batch import TokenBatch
from workbench.engine.clock import Clock
from workbench.engine.collect import Samples, judge_rollout
from workbench.engine.learner import Learner
from workbench.engine.policy import Policy
from workbench.engine.prompts import PromptBatch, check_in_table, encode_prompts
from workbench.engine.rollout import Rollout, empty_rollout
from workbench.engine.sampling import completion_room
from workbench.engine.scoring import completion_logits, rows_per_pass
from workbench.grpo import logps_and_entropy
from workbench.run.knobs import Knobs
from workbench.run.record import Progress
from workbench.tasks.demonstrations import demonstration_of

TEMPERATURE = 1.0  # nothing is sampled: the likelihood is the model's own


def collect_demonstrations(
    step: int, learner: Learner, knobs: Knobs, clock: Clock
) -> Generator[Progress, None, Samples]:
    """Return one demonstration for each of as many prompts as other methods have completions in a step.

    They are rewarded as completions are, and the policy says at each token what it would have written.
    """
    policy, config = learner.policy, learner.config
    num_prompts = config.prompts_per_step * knobs.num_generations
    examples = list(islice(learner.examples, num_prompts))
    rng = random.Random(f"{config.seed}-{step}")
    texts = [demonstration_of(example, learner.task, rng) for example in examples]
    prompts = encode_prompts(policy, [example["prompt"] for example in examples])
    yield Progress(step, "sample", 0, 1)
    rollout = read_texts(policy, prompts, texts, completion_room(policy, prompts, knobs), config.micro_batch_size)
    yield Progress(step, "sample", 1, 1)
    clock.lap("sample")

    yield Progress(step, "reward")
    samples = judge_rollout(examples, prompts, rollout, policy, learner.judge, TEMPERATURE)
    clock.lap("reward")
    return replace(samples, is_own=False)


@torch.no_grad()
def read_texts(policy: Policy, prompts: PromptBatch, texts: Sequence[str], room: int, micro_batch_size: int) -> Rollout:
    """Return one text for each prompt, ended by the end token, as if the policy had sampled it.

    A text that does not fit the room is cut off there, and then it is truncated.
    """
    rows = [_ids_of(policy, text) for text in texts]
    rollout = empty_rollout(policy, len(rows), min(room, max(map(len, rows))))
    length = rollout.mask.shape[1]
    for row, ids in enumerate(rows):
        kept = ids[:length]
        rollout.token_ids[row, : len(kept)] = torch.tensor(kept, device=policy.device)
        rollout.mask[row, : len(kept)] = True
        rollout.is_truncated[row] = len(ids) > length
    batch = TokenBatch.of(prompts, rollout, 1, TEMPERATURE)
    size = rows_per_pass(batch, policy.model.config.vocab_size, micro_batch_size)
    for some, micro in batch.micro_batches(size):
        _note(rollout, some, micro, completion_logits(policy, micro))
    return rollout


def _ids_of(policy: Policy, text: str) -> list[int]:
    end: Any = policy.tokenizer.eos_token_id
    ids = [*policy.tokenizer.encode(text, add_special_tokens=False), policy.eos_ids[0] if end is None else end]
    check_in_table(policy, ids)
    return ids


def _note(rollout: Rollout, rows: Int[Tensor, " R"], micro: TokenBatch, logits: Float[Tensor, "R T V"]) -> None:
    """Note what is seen at each token, as the sampling does."""
    part, mask = slice(micro.mask.shape[1]), micro.mask
    logps, entropy = logps_and_entropy(logits, micro.completion_ids, micro.temperature)
    top = (logits.float() / micro.temperature).log_softmax(-1).topk(rollout.top_ids.shape[-1])
    rollout.logps[rows, part] = logps.masked_fill(~mask, 0.0)
    rollout.entropy[rows, part] = entropy.masked_fill(~mask, 0.0)
    rollout.top_ids[rows, part] = top.indices.masked_fill(~mask[..., None], 0)
    rollout.top_logps[rows, part] = top.values.masked_fill(~mask[..., None], 0.0)
