"""Tensors to a StepRecord: the one place that reads the device, once, when the step is over."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from math import isnan, nan
from typing import Any

import numpy as np
from torch import Tensor

from workbench.engine.learner import Learner
from workbench.engine.metrics import finite_or_none, step_metrics
from workbench.engine.objective import InnerUpdate
from workbench.engine.rewards import Judge
from workbench.engine.rollout import Rollout
from workbench.engine.speed import fast_paths_of, limits_of
from workbench.engine.stepdata import StepData
from workbench.engine.vocabulary import Vocabulary
from workbench.grpo import gradient_budget, group_mean_std, is_dead
from workbench.run.record import CompletionRecord, GroupRecord, StepRecord


def measure(data: StepData, learner: Learner) -> StepRecord:
    """Return the record of a step. Its `num_tokens` are this step's; the trainer adds them up, and adds the timings."""
    data = data if learner.policy.device.type == "cpu" else _on_cpu(data)
    judge, texts = learner.judge, _texts_of(data.samples.rollout, learner.vocabulary)
    metrics, by_update = step_metrics(data, judge)
    return StepRecord(
        step=data.step,
        knobs=data.knobs,
        metrics=finite_or_none(metrics),
        updates=tuple(finite_or_none(update) for update in by_update),
        groups=_groups(data, judge, texts),
        reward_weights=judge.weights,
        reward_max=judge.max_reward,
        timings={},
        device=str(learner.policy.device),
        vocabulary=texts,
        memory=data.memory,
        fast_paths=fast_paths_of(data, learner),
        limits=limits_of(data, learner),
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
    mask = rollout.mask.numpy()
    ids = np.concatenate([rollout.token_ids.numpy()[mask], rollout.top_ids.numpy()[mask].ravel()])
    return {token_id: vocabulary[token_id] for token_id in np.flatnonzero(np.bincount(ids)).tolist()}


def _groups(data: StepData, judge: Judge, texts: Mapping[int, str]) -> tuple[GroupRecord, ...]:
    samples, size = data.samples, data.samples.num_generations
    mean, std = (s.tolist() for s in group_mean_std(samples.judgement.totals, size))
    dead = is_dead(samples.judgement.totals, size).tolist()
    budgets = [_group_budgets(data, update) for update in data.updates.inner]
    arrays = _Arrays(data, judge)
    groups = []
    for g, (example, prompt) in enumerate(zip(samples.examples, samples.prompts.texts, strict=True)):
        target = example.get("target")
        groups.append(
            GroupRecord(
                prompt=prompt,
                target=None if target is None else str(target),
                completions=tuple(
                    _completion(data, judge, texts, arrays, row) for row in range(g * size, (g + 1) * size)
                ),
                mean=_number(mean[g]),
                std=_number(std[g]),
                is_dead=dead[g],
                budget=tuple(budget[g] for budget in budgets),
            )
        )
    return tuple(groups)


def _group_budgets(data: StepData, update: InnerUpdate) -> list[dict[str, float | None]]:
    """Return each group's share of one update's gradient coefficients, and of its loss."""
    budget = gradient_budget(data.objective.parts(update), by_row=True)
    by_row = {
        "up": budget.push_up,
        "down": budget.push_down,
        "kl": budget.kl_pull,
        "lost": budget.lost_to_clip,
        "loss": update.terms.token_losses.sum(1),
    }
    size = data.samples.num_generations
    by_group = {name: values.view(-1, size).sum(1).tolist() for name, values in by_row.items()}
    return [finite_or_none(dict(zip(by_group, group, strict=True))) for group in zip(*by_group.values(), strict=True)]


class _Arrays:
    """The batch's per-token tensors as NumPy, to be cut into completions."""

    def __init__(self, data: StepData, judge: Judge) -> None:
        rollout, inner = data.samples.rollout, data.updates.inner
        self.lengths = rollout.lengths.tolist()
        self.weights = inner[0].terms.weights.amax(1).tolist()
        self.is_masked = [weight == 0 for weight in self.weights]
        self.is_correct = judge.correctness(data.samples.judgement)
        self.is_truncated = rollout.is_truncated.tolist()
        self.rewards = data.samples.judgement.totals.tolist()
        true_totals = data.samples.judgement.true_totals
        self.true_rewards = [nan] * len(self.rewards) if true_totals is None else true_totals.tolist()
        values = data.advantages.values
        self.advantages = values.tolist() if values.dim() == 1 else None
        by_token = values if values.dim() == 2 else values[:, None].expand_as(rollout.logps)
        per_token = {
            "token_ids": rollout.token_ids.int(),
            "sampled_logps": rollout.logps,
            "entropy": rollout.entropy,
            "old_logps": data.updates.old_logps,
            "token_advantages": by_token.float(),
            "top_ids": rollout.top_ids.int(),
            "top_logps": rollout.top_logps,
            "ref_logps": data.reference.logps,
            "values": data.advantages.critic,
        }
        per_update = {
            "logps_by_update": [u.logps for u in inner],
            "clipped_by_update": [u.terms.clipped for u in inner],
            "outside_by_update": [u.terms.outside_band for u in inner],
            "kept_by_update": [u.terms.kept for u in inner],
            "coefficients_by_update": [u.coefficients for u in inner],
        }
        if data.objective.has_exact_kl:
            per_update["exact_kl_by_update"] = [u.terms.kl for u in inner]
        self.per_token = {name: v.numpy() for name, v in per_token.items() if v is not None}
        self.per_update = {name: np.stack([v.numpy() for v in each]) for name, each in per_update.items()}
        for array in (*self.per_token.values(), *self.per_update.values()):
            array.flags.writeable = False  # and so are all slices of it

    def of_row(self, row: int) -> dict[str, Any]:
        length = self.lengths[row]
        arrays = {name: values[row, :length] for name, values in self.per_token.items()}
        arrays |= {name: values[:, row, :length] for name, values in self.per_update.items()}
        return {"ref_logps": None} | arrays

    def advantage_of(self, row: int) -> float:
        """Return a completion's advantage: its own, or the mean of its tokens'."""
        if self.advantages is not None:
            return self.advantages[row]
        length = self.lengths[row]
        return float(self.per_token["token_advantages"][row, :length].mean()) if length else 0.0


def _completion(data: StepData, judge: Judge, texts: Mapping[int, str], arrays: _Arrays, row: int) -> CompletionRecord:
    samples, marks = data.samples, data.advantages.marks
    rewards = {name: values[row] for name, values in samples.judgement.by_function.items()}
    return CompletionRecord(
        text=samples.texts[row],
        rewards={name: _number(float(reward)) for name, reward in rewards.items()},
        reasons={name: reward.reason for name, reward in rewards.items()},
        reward=_number(arrays.rewards[row]),
        true_reward=_number(arrays.true_rewards[row]),
        advantage=arrays.advantage_of(row),
        answer=judge.read_answer(samples.texts[row]),
        is_correct=arrays.is_correct[row],
        is_truncated=arrays.is_truncated[row],
        is_masked=arrays.is_masked[row],
        weight=arrays.weights[row],
        vocabulary=texts,
        knobs=data.knobs,
        steps=() if marks is None else marks[row],
        **arrays.of_row(row),
    )


def _number(value: float) -> float | None:
    return None if isnan(value) else value
