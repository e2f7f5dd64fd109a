"""How good a policy is on prompts of its own: sampled afresh, judged by the task's truth, nothing learned."""

from collections.abc import Generator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from safetensors.torch import load_file

from workbench.engine.collect import judge_rollout
from workbench.engine.lora import ADAPTER
from workbench.engine.policy import Policy, load_policy
from workbench.engine.prompts import encode_prompts
from workbench.engine.rewards import make_judge
from workbench.engine.sampling import sample_groups
from workbench.errors import ConfigError
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs
from workbench.tasks.registry import get_task

HELD_OUT_SEED = 987_654_321  # no run starts from it by default


@dataclass(frozen=True)
class Evaluation:
    """Over all completions: the share that is right, the mean weighted reward, the mean length in tokens."""

    right: float
    reward: float
    length: float


@torch.no_grad()
def evaluate(config: RunConfig, knobs: Knobs, adapter: Path | None, *, num_prompts: int = 64) -> Evaluation:
    """Return how the policy of `config` does with the adapter of that folder, or without one, on its task.

    G completions of each prompt are sampled as the knobs say and judged by the task's own reward functions; the prompts
    are the same for all. Raises ConfigError for a model or adapter that cannot be used.
    """
    task = get_task(config.task)
    examples = list(islice(task.examples(HELD_OUT_SEED), num_prompts))
    policy = load_policy(config)
    if adapter is not None:
        load_adapter(policy, adapter)
    judge = make_judge(RunConfig(task=config.task), task, None)
    generator = torch.Generator(policy.device).manual_seed(HELD_OUT_SEED)
    prompts = encode_prompts(policy, [example["prompt"] for example in examples])
    rollout = _finish(sample_groups(policy, prompts, knobs, step=0, generator=generator))
    samples = judge_rollout(examples, prompts, rollout, policy, judge, knobs.temperature)
    return Evaluation(
        right=fmean(bool(each) for each in judge.correctness(samples.judgement)),
        reward=samples.judgement.totals.nanmean().item(),
        length=rollout.lengths.float().mean().item(),
    )


def load_adapter(policy: Policy, folder: Path) -> None:
    """Give the policy the weights that `Policy.save_adapter` wrote there; raise ConfigError if they do not fit it."""
    file = folder / SAFETENSORS_WEIGHTS_NAME
    if not file.is_file():
        raise ConfigError(f"{folder} holds no adapter: {SAFETENSORS_WEIGHTS_NAME} is missing")
    weights = load_file(file, device=str(policy.device))
    own = {name.replace(f".{ADAPTER}.", "."): p for name, p in policy.model.named_parameters() if p.requires_grad}
    if own.keys() != weights.keys() or any(own[name].shape != weights[name].shape for name in own):
        raise ConfigError(f"the adapter in {folder} was made for another model or another LoRA rank")
    for name, parameter in own.items():
        parameter.data.copy_(weights[name])


def _finish(stages: Generator[Any, None, Any]) -> Any:
    while True:
        try:
            next(stages)
        except StopIteration as finished:
            return finished.value
