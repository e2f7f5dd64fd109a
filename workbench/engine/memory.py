"""What each part of a run holds in memory: GRPO's point is that there is no critic among them."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from workbench.engine.learner import Learner
from workbench.engine.ppo import CriticUpdates
from workbench.engine.reward_model import RewardModel
from workbench.engine.storage import storages_of
from workbench.engine.update import Updates


def memory_of(
    learner: Learner, updates: Updates | None = None, critic_updates: CriticUpdates | None = None
) -> dict[str, int]:
    """Return the bytes of each part of a run, and on CUDA the peak since `forget_peak`. What is not there is left out.

    Measured on the tensors' storages. One that two parts share counts for the first of them: a learned reward on the
    policy's base weights is its adapter and head alone. "gradients" are those of the adapter, which are gone between
    updates: the updates tell what they were. "reference" is the copy that is kept of it, so 0 where the reference is
    the policy with its adapter off.
    """
    seen: set[tuple[str, int]] = set()
    bytes_by_part = {}
    for part, tensors in _parts(learner):
        storages = storages_of(tensors)
        bytes_by_part[part] = sum(size for key, size in storages.items() if key not in seen)
        seen |= storages.keys()
    if updates is not None:
        bytes_by_part["gradients"] = updates.gradient_bytes
    if critic_updates is not None:
        bytes_by_part["critic_gradients"] = critic_updates.gradient_bytes
    if learner.policy.device.type == "cuda":
        bytes_by_part["peak"] = torch.cuda.max_memory_allocated(learner.policy.device)
    return bytes_by_part


def forget_peak(device: torch.device) -> None:
    """Begin to measure the peak anew."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _parts(learner: Learner) -> Iterator[tuple[str, Iterable[Tensor]]]:
    policy, critic, learned = learner.policy, learner.critic, learner.learned_reward
    yield "policy", policy.frozen
    yield "adapter", policy.trainable
    yield "optimizer", _states(learner.optimizer)
    yield "reference", (policy.reference_adapter or {}).values()
    if critic is not None:
        yield "critic", [*_tensors(critic.model), *_tensors(critic.head)]
        yield "critic_optimizer", _states(critic.optimizer)
    models = [f.model for f in learner.judge.scorer.functions.values() if isinstance(f, RewardModel)]
    if models:
        yield "reward_model", [weight for model in models for weight in _tensors(model)]
    if learned is not None:
        yield "reward_model_optimizer", _states(learned.optimizer)


def _tensors(module: torch.nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


def _states(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]
