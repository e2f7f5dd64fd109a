"""Tensors to a StepRecord: the one place that reads the device, once, when the step is over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from workbench.engine.metrics import finite_or_none, step_metrics
from workbench.engine.prompts import PromptBatch
from workbench.engine.rewards import Judge, Judgement
from workbench.engine.sampling import Rollout
from workbench.engine.update import InnerUpdate, Updates
from workbench.engine.vocabulary import Vocabulary
from workbench.grpo import (
    clipped_surrogate,
    gradient_budget,
    gradient_parts,
    group_mean_std,
    is_dead,
)
from workbench.run.knobs import Knobs
from workbench.run.record import CompletionRecord, GroupRecord, StepRecord
from workbench.tasks.base import Example


@dataclass(frozen=True, eq=False)
class StepData:
    """Everything that one step computed, before it is written down."""

    step: int
    knobs: Knobs
    examples: Sequence[Example]
    prompts: PromptBatch
    rollout: Rollout
    texts: Sequence[str]
    judgement: Judgement
    advantages: Float[Tensor, " B"]
    ref_logps: Float[Tensor, "B T"] | None
    updates: Updates


def measure(data: StepData, judge: Judge, vocabulary: Vocabulary) -> StepRecord:
    """Return the record of a step. Its `num_tokens` are this step's; the trainer adds them up, and adds the timings."""
    device = data.rollout.mask.device
    data = replace(
        data,
        rollout=_on_cpu(data.rollout),
        advantages=data.advantages.cpu(),
        ref_logps=None if data.ref_logps is None else data.ref_logps.cpu(),
        updates=_on_cpu(data.updates),
    )
    metrics, by_update = step_metrics(
        data.rollout, data.judgement, data.advantages, data.updates, data.ref_logps is not None, data.knobs
    )
    num_read = int(data.prompts.mask.sum()) * data.knobs.num_generations
    metrics["num_tokens"] = num_read + int(data.rollout.mask.sum())
    texts = _texts_of(data.rollout, vocabulary)
    return StepRecord(
        step=data.step,
        knobs=data.knobs,
        metrics=finite_or_none(metrics),
        updates=tuple(finite_or_none(update) for update in by_update),
        groups=_groups(data, judge, texts),
        reward_weights=judge.weights,
        reward_max=judge.max_reward,
        timings={},
        device=str(device),
        vocabulary=texts,
    )


def _on_cpu(value: Any) -> Any:
    """Return a dataclass of tensors, or a tuple of them, with its tensors on the CPU."""
    if isinstance(value, Tensor):
        return value.cpu()
    if isinstance(value, tuple):
        return tuple(_on_cpu(part) for part in value)
    if is_dataclass(value) and not isinstance(value, type):
        return type(value)(**{f.name: _on_cpu(getattr(value, f.name)) for f in fields(value)})
    return value


def _texts_of(rollout: Rollout, vocabulary: Vocabulary) -> dict[int, str]:
    ids = torch.cat([rollout.token_ids[rollout.mask], rollout.top_ids[rollout.mask].flatten()]).unique().tolist()
    return {token_id: vocabulary[token_id] for token_id in ids}


def _groups(data: StepData, judge: Judge, texts: Mapping[int, str]) -> tuple[GroupRecord, ...]:
    num_generations = data.knobs.num_generations
    mean, std = (s.tolist() for s in group_mean_std(data.judgement.totals, num_generations))
    dead = is_dead(data.judgement.totals, num_generations).tolist()
    budgets = [_group_budgets(data, update) for update in data.updates.inner]
    arrays = _Arrays(data)
    groups = []
    for g, (example, prompt) in enumerate(zip(data.examples, data.prompts.texts, strict=True)):
        rows = range(g * num_generations, (g + 1) * num_generations)
        target = example.get("target")
        groups.append(
            GroupRecord(
                prompt=prompt,
                target=None if target is None else str(target),
                completions=tuple(_completion(data, judge, texts, arrays, row) for row in rows),
                mean=_number(mean[g]),
                std=_number(std[g]),
                is_dead=dead[g],
                budget=tuple(budget[g] for budget in budgets),
            )
        )
    return tuple(groups)


def _group_budgets(data: StepData, update: InnerUpdate) -> list[dict[str, float]]:
    """Return each group's share of one update's gradient coefficients, and of its loss."""
    knobs, mask = data.knobs, data.rollout.mask
    parts = gradient_parts(
        update.terms,
        update.logps,
        data.ref_logps,
        data.advantages,
        mask,
        beta=knobs.beta,
        importance_sampling_level=knobs.importance_sampling_level,
        kl_estimator=knobs.kl_estimator,
    )
    surrogate = clipped_surrogate(update.terms.ratio, data.advantages, knobs.epsilon, knobs.epsilon_high, knobs.delta)
    losses = (update.terms.weights * mask * (knobs.beta * update.terms.kl - surrogate)).sum(1)
    budgets = []
    for rows in torch.arange(len(mask)).split(knobs.num_generations):
        budget = gradient_budget(type(parts)(**{f.name: getattr(parts, f.name)[rows] for f in fields(parts)}))
        named = {"up": budget.push_up, "down": budget.push_down, "kl": budget.kl_pull, "lost": budget.lost_to_clip}
        numbers = {name: value.item() for name, value in named.items()} | {"loss": losses[rows].sum().item()}
        budgets.append(finite_or_none(numbers))
    return budgets


class _Arrays:
    """The batch's per-token tensors as NumPy, to be cut into completions."""

    def __init__(self, data: StepData) -> None:
        rollout, updates = data.rollout, data.updates
        self.lengths = rollout.mask.sum(1).tolist()
        self.weights = updates.inner[0].terms.weights.amax(1).tolist()
        self.per_token = {
            "token_ids": rollout.token_ids.numpy().astype(np.int32),
            "sampled_logps": rollout.logps.numpy(),
            "entropy": rollout.entropy.numpy(),
            "old_logps": updates.old_logps.numpy(),
            "top_ids": rollout.top_ids.numpy().astype(np.int32),
            "top_logps": rollout.top_logps.numpy(),
        }
        if data.ref_logps is not None:
            self.per_token["ref_logps"] = data.ref_logps.numpy()
        self.per_update = {
            "logps_by_update": np.stack([u.logps.numpy() for u in updates.inner]),
            "clipped_by_update": np.stack([u.terms.clipped.numpy() for u in updates.inner]),
            "outside_by_update": np.stack([u.terms.outside_band.numpy() for u in updates.inner]),
        }

    def of_row(self, row: int) -> dict[str, Any]:
        length = self.lengths[row]
        arrays = {name: values[row, :length] for name, values in self.per_token.items()}
        arrays |= {name: values[:, row, :length] for name, values in self.per_update.items()}
        for array in arrays.values():
            array.flags.writeable = False
        return {"ref_logps": None} | arrays


def _completion(data: StepData, judge: Judge, texts: Mapping[int, str], arrays: _Arrays, row: int) -> CompletionRecord:
    rewards = {name: values[row] for name, values in data.judgement.by_function.items()}
    cut = arrays.of_row(row)
    truth = rewards.get(judge.truth) if judge.truth else None
    return CompletionRecord(
        text=data.texts[row],
        tokens=tuple(texts[i] for i in cut["token_ids"].tolist()),
        rewards={name: _number(float(reward)) for name, reward in rewards.items()},
        reasons={name: reward.reason for name, reward in rewards.items()},
        reward=_number(data.judgement.totals[row].item()),
        advantage=data.advantages[row].item(),
        answer=judge.read_answer(data.texts[row]),
        is_correct=None if truth is None or not truth.is_applicable else float(truth) == 1.0,
        is_truncated=bool(data.rollout.is_truncated[row]),
        weight=arrays.weights[row],
        top_tokens=tuple(tuple(texts[i] for i in top) for top in cut["top_ids"].tolist()),
        knobs=data.knobs,
        **cut,
    )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
