"""A run's learner and one step of it, driven by hand, with rewards of the test's choosing."""

from collections.abc import Sequence
from itertools import cycle, islice
from typing import Any

import torch

from tests.engine.arrays import finish
from workbench.engine import step as step_module
from workbench.engine.clock import Clock
from workbench.engine.critic import load_critic
from workbench.engine.learner import Learner
from workbench.engine.policy import load_policy
from workbench.engine.rewards import Judge
from workbench.engine.stepdata import StepData
from workbench.engine.vocabulary import Vocabulary
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs
from workbench.run.record import StepRecord
from workbench.tasks.registry import get_task
from workbench.tasks.rewards import Scorer

REWARDS = (0.0, 1.0, 0.25, 1.0, 0.5, 0.0, 1.0, 0.75)  # two groups of four that differ


def make_learner(config: RunConfig, rewards: Sequence[float | None] = REWARDS, *, noise: float = 0.0) -> Learner:
    """Return a learner whose completions get these rewards over and over; those that get 1 are correct.

    With `noise` the policy has moved from its reference, and a critic has values that differ.
    """

    def given(prompts: Sequence[Any], **others: Any) -> list[float | None]:
        return list(islice(cycle(rewards), len(prompts)))

    task = get_task(config.task)
    policy = load_policy(config)
    judge = Judge(Scorer([given]), {"given": 1.0}, 1.0, "given", task.read_answer)
    optimizer = torch.optim.AdamW(policy.trainable, weight_decay=0.0, fused=True)
    critic = load_critic(config, policy) if config.method == "ppo" else None
    if noise:
        generator = torch.Generator().manual_seed(7)
        of_critic = [] if critic is None else [*critic.trainable[1:-2:2], *critic.head.parameters()]
        for weight in [*policy.trainable[1::2], *of_critic]:  # LoRA's B, which start as 0, and the head
            weight.data = noise * torch.randn(weight.shape, generator=generator)
    vocabulary = Vocabulary(policy.tokenizer)
    examples = task.examples(config.seed)
    return Learner(config, task, policy, optimizer, examples, judge, vocabulary, None, critic=critic)


def take_step(learner: Learner, knobs: Knobs, step: int = 1) -> StepRecord:
    return finish(step_module.train_step(step, learner, knobs, Clock(learner.policy.device)))()


def see_step(learner: Learner, knobs: Knobs, monkeypatch: Any, step: int = 1) -> StepData:
    """Take a step and return all its tensors in place of the record."""
    with monkeypatch.context() as patched:
        patched.setattr(step_module, "measuring", lambda data, learner: lambda: data)
        return take_step(learner, knobs, step)  # type: ignore[return-value]


def vector_of(weights: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return a copy of all the weights as one vector."""
    return torch.cat([weight.detach().flatten().float().cpu() for weight in weights])
