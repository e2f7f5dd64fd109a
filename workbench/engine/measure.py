"""Tensors to a StepRecord: the one place that reads the device, once, when the step is over."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from functools import partial
from math import isnan
from typing import Any

import numpy as np
import torch
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
from workbench.run.groups import Groups
from workbench.run.record import StepRecord


def measuring(data: StepData, learner: Learner) -> Callable[[], StepRecord]:
    """Return what makes the record of a step, on any thread: nothing that it reads is changed by the steps after it.

    The record's `num_tokens` are this step's; the trainer adds them up, and adds the timings.
    """
    data = data if learner.policy.device.type == "cpu" else _on_cpu(data)
    texts = _texts_of(data.samples.rollout, learner.vocabulary)  # by the tokenizer, which serves one thread at a time
    return partial(_measure, data, replace(learner), texts, fast_paths_of(data, learner))


def _measure(data: StepData, learner: Learner, texts: Mapping[int, str], fast_paths: tuple[str, ...]) -> StepRecord:
    judge = learner.judge
    metrics, by_update = step_metrics(data, learner)
    return StepRecord(
        step=data.step,
        knobs=data.knobs,
        metrics=finite_or_none(metrics),
        updates=tuple(finite_or_none(update) for update in by_update),
        groups=Groups(_groups(data, judge), _columns(data), data.knobs, texts),
        reward_weights=judge.weights,
        reward_max=judge.max_reward,
        timings={},
        device=str(learner.policy.device),
        vocabulary=texts,
        memory=data.memory,
        fast_paths=fast_paths,
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


def _groups(data: StepData, judge: Judge) -> list[dict[str, Any]]:
    """Return what is one value a group, and a completion, as plain values."""
    samples, size = data.samples, data.samples.num_generations
    mean, std = (s.tolist() for s in group_mean_std(samples.judgement.totals, size))
    dead = is_dead(samples.judgement.totals, size).tolist()
    budgets = [_group_budgets(data, update) for update in data.updates.inner]
    completions = _completions(data, judge)
    return [
        {
            "prompt": prompt,
            "target": None if example.get("target") is None else str(example["target"]),
            "mean": _number(mean[g]),
            "std": _number(std[g]),
            "is_dead": dead[g],
            "budget": [budget[g] for budget in budgets],
            "completions": completions[g * size : (g + 1) * size],
        }
        for g, (example, prompt) in enumerate(zip(samples.examples, samples.prompts.texts, strict=True))
    ]


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


def _completions(data: StepData, judge: Judge) -> list[dict[str, Any]]:
    """Return what is one value a completion, as plain values."""
    texts, rollout, judgement = data.samples.texts, data.samples.rollout, data.samples.judgement
    names, given = list(judgement.by_function), list(zip(*judgement.by_function.values(), strict=True))
    nothing, marks = [None] * len(texts), data.advantages.marks
    weights = data.updates.inner[0].terms.weights.amax(1).tolist()
    values = {
        "text": texts,
        "length": rollout.lengths.tolist(),
        "rewards": [dict(zip(names, map(_number, map(float, rewards)), strict=True)) for rewards in given],
        "reasons": [{name: r.reason for name, r in zip(names, rewards, strict=True)} for rewards in given],
        "reward": map(_number, judgement.totals.tolist()),
        "true_reward": nothing if judgement.true_totals is None else map(_number, judgement.true_totals.tolist()),
        "advantage": _mean_advantages(data),
        "answer": map(judge.read_answer, texts),
        "is_correct": judge.correctness(judgement),
        "is_truncated": rollout.is_truncated.tolist(),
        "is_masked": [weight == 0 for weight in weights],
        "weight": weights,
        "has_ratio": [data.objective.has_ratio] * len(texts),
        "steps": [[]] * len(texts) if marks is None else [[asdict(mark) for mark in row] for row in marks],
    }
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def _mean_advantages(data: StepData) -> list[float]:
    """Return each completion's advantage: its own, or the mean of its tokens'."""
    values, mask = data.advantages.values, data.samples.rollout.mask
    if values.dim() == 2:
        values = values.masked_fill(~mask, 0.0).sum(1) / mask.sum(1).clamp(min=1)
    return values.tolist()


def _columns(data: StepData) -> dict[str, np.ndarray]:
    """Return what is one value a token, of all completions one after the other."""
    rollout, inner, advantages = data.samples.rollout, data.updates.inner, data.advantages
    is_token = rollout.mask.flatten().nonzero().squeeze(1)

    def column(values: Tensor) -> Tensor:
        return values.flatten(0, 1)[is_token]

    by_token = advantages.values if advantages.values.dim() == 2 else advantages.values[:, None].expand_as(rollout.mask)
    columns = {
        "token_ids": column(rollout.token_ids).int(),
        "sampled_logps": column(rollout.logps),
        "entropy": column(rollout.entropy),
        "old_logps": column(data.updates.old_logps),
        "token_advantages": column(by_token).float(),
        "top_ids": column(rollout.top_ids).int(),
        "top_logps": column(rollout.top_logps),
        "logps_by_update": torch.stack([column(u.logps) for u in inner]),
        "clipped_by_update": torch.stack([column(u.terms.clipped) for u in inner]),
        "outside_by_update": torch.stack([column(u.terms.outside_band) for u in inner]),
        "kept_by_update": torch.stack([column(u.terms.kept) for u in inner]),
        "coefficients_by_update": torch.stack([column(u.coefficients) for u in inner]),
    }
    optional = {"ref_logps": data.reference.logps, "values": advantages.critic}
    columns |= {name: column(values) for name, values in optional.items() if values is not None}
    exact_kl = [column(u.exact_kl) for u in inner if u.exact_kl is not None]
    if exact_kl:
        columns["exact_kl_by_update"] = torch.stack(exact_kl)
    return {name: values.numpy() for name, values in columns.items()}


def _number(value: float) -> float | None:
    return None if isnan(value) else value
