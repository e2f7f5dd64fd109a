"""The scalars of a step, with TRL's names and formulas (`trl/trainer/grpo_trainer.py`, 1.16).

Where TRL makes one optimizer step, a step here makes μ: what belongs to an update (loss, grad_norm, kl, entropy,
clip_ratio) is the mean over them, as TRL's logger averages over a window of steps. NaN: nothing could be measured, as
where every completion is left out of the loss.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from workbench.engine.collect import Samples
from workbench.engine.learner import Learner
from workbench.engine.objective import InnerUpdate
from workbench.engine.rollout import Rollout
from workbench.engine.stepdata import StepData
from workbench.grpo import CLIPPED_LOSS_TYPES, cispo_clip, clip_flags, frac_reward_zero_std, summed_z_scores, vespo_phi
from workbench.grpo.advantages import nan_std
from workbench.run.knobs import Knobs

Scalars = dict[str, float]


def step_metrics(data: StepData, learner: Learner) -> tuple[Scalars, tuple[Scalars, ...]]:
    """Return the step's metrics by TRL's names, and each inner update's own numbers."""
    knobs = data.knobs
    by_update = tuple(_update_scalars(data, update) for update in data.updates.inner)
    means = {name: _mean([update[name] for update in by_update]) for name in by_update[0]}
    own = {
        "loss": means["loss"],
        "grad_norm": means["grad_norm"],
        "kl": means["kl"],
        "entropy": means["entropy"],
        **{name: value for name, value in means.items() if "/" in name or name == "cispo_clip_ratio"},
    }
    bonus = {"policy_loss": means["policy_loss"], "entropy_coef": knobs.entropy_coef} if knobs.entropy_coef else {}
    metrics = {
        **{name: _mean(values) for name, values in data.samples.judgement.logged.items()},
        **_reward_metrics(data.samples, learner, knobs),
        **_completion_metrics(data.samples.rollout),
        **own,
        **bonus,
        **({} if data.critic is None else data.critic.scalars()),
        **_sampling_metrics(data),
        "learning_rate": knobs.learning_rate,
    }
    return metrics, by_update


def _reward_metrics(samples: Samples, learner: Learner, knobs: Knobs) -> Scalars:
    totals, names = samples.judgement.totals, list(samples.judgement.by_function)
    rows = torch.cat([totals[None], samples.judgement.table().T])  # 1 + F, B
    (mean, *means), (std, *stds) = rows.nanmean(dim=1).tolist(), nan_std(rows).tolist()
    return {
        "reward": mean,
        "reward_std": std,
        "frac_reward_zero_std": _frac_reward_zero_std(samples, learner, knobs),
        **{f"rewards/{name}/mean": value for name, value in zip(names, means, strict=True)},
        **{f"rewards/{name}/std": value for name, value in zip(names, stds, strict=True)},
    }


def _frac_reward_zero_std(samples: Samples, learner: Learner, knobs: Knobs) -> float:
    rewards, size = samples.judgement.totals, samples.num_generations
    estimator = knobs.advantage_estimator if learner.config.method == "grpo" else None  # the others do not look at it
    of = knobs.scale_rewards if estimator == "grpo" else "group"
    if size < 2:
        return torch.nan  # one completion is no group
    if estimator == "gdpo":
        table, weights = samples.judgement.table(), learner.judge.weights_by_function()
        rewards = summed_z_scores(table, weights, size, std_ddof=knobs.std_ddof, std_eps=knobs.std_eps)
        of = "batch"
    return frac_reward_zero_std(rewards, size, scale_rewards=of).item()


def _completion_metrics(rollout: Rollout) -> Scalars:
    lengths = rollout.lengths.float()
    terminated = lengths[~rollout.is_truncated]
    if len(terminated) == 0:
        terminated = torch.zeros(1)
    return {
        "completions/mean_length": lengths.mean().item(),
        "completions/min_length": lengths.min().item(),
        "completions/max_length": lengths.max().item(),
        "completions/clipped_ratio": rollout.is_truncated.float().mean().item(),
        "completions/mean_terminated_length": terminated.mean().item(),
        "completions/min_terminated_length": terminated.min().item(),
        "completions/max_terminated_length": terminated.max().item(),
    }


def _sampling_metrics(data: StepData) -> Scalars:
    """Return how far scoring is from sampling, and what it took to fill the batch."""
    rollout, is_own = data.samples.rollout, data.samples.is_own
    difference = (data.updates.inner[0].logps - rollout.logps).abs()[rollout.mask]
    metrics = {  # what others wrote is not scored by those who wrote it
        "sampling/sampling_logp_difference/mean": difference.mean().item() if is_own else torch.nan,
        "sampling/sampling_logp_difference/max": difference.max().item() if is_own else torch.nan,
        "num_tokens": data.samples.num_read + data.samples.num_written,
        "num_completion_tokens": data.samples.num_written,
    }
    if data.knobs.max_num_gen_batches > 1:
        metrics["dynamic_sampling/num_gen_batches"] = data.samples.num_rounds
        metrics["dynamic_sampling/num_discarded_groups"] = data.samples.num_discarded_groups
    return metrics


def _update_scalars(data: StepData, update: InnerUpdate) -> Scalars:
    terms, mask = update.terms, data.batch.loss_mask
    return {
        "loss": terms.loss.item(),
        "policy_loss": (terms.loss + terms.entropy_bonus).item(),
        "grad_norm": update.grad_norm.item(),
        "kl": _token_mean(terms.kl, mask) if data.reference.logps is not None else torch.nan,
        "entropy": _token_mean(update.entropy, mask),
        **(_clip_scalars(data, update) if data.objective.has_ratio else {}),
        **data.objective.scalars(update),
        "zero_gradient": _token_mean(terms.clipped, mask),
        "outside": _token_mean(terms.outside_band, mask),
        "ratio_min": terms.ratio.masked_fill(~mask, torch.inf).min().item(),
        "ratio_max": terms.ratio.masked_fill(~mask, -torch.inf).max().item(),
        "logp_mean": _token_mean(update.logps, mask),
    }


def _clip_scalars(data: StepData, update: InnerUpdate) -> Scalars:
    """Return what TRL logs of the clip, which depends on the loss type: sapo and online have none."""
    knobs, ratio, mask, advantages = data.knobs, update.terms.ratio, data.batch.loss_mask, data.advantages.values
    if knobs.loss_type == "cispo":
        flags = cispo_clip(ratio, advantages, knobs.epsilon if knobs.epsilon_high is None else knobs.epsilon_high)
        return {"cispo_clip_ratio": _clip_share(flags, mask, knobs)}
    if knobs.loss_type == "vespo":
        phi = _phi(data, update)
        return {"vespo/phi_seq_mean": _token_mean(phi, mask) if phi.dim() == 2 else _row_mean(phi, mask)}
    if knobs.loss_type not in CLIPPED_LOSS_TYPES:
        return {}
    low, high = clip_flags(
        knobs.loss_type,
        ratio,
        advantages,
        epsilon=knobs.epsilon,
        epsilon_high=knobs.epsilon_high,
        delta=knobs.delta,
    )
    low_rows, high_rows = _row_means(low, mask), _row_means(high, mask)
    return {
        "clip_ratio/low_mean": _clip_share(low, mask, knobs),
        "clip_ratio/low_min": low_rows.min().item() if len(low_rows) else torch.nan,
        "clip_ratio/high_mean": _clip_share(high, mask, knobs),
        "clip_ratio/high_max": high_rows.max().item() if len(high_rows) else torch.nan,
        "clip_ratio/region_mean": _clip_share(low | high, mask, knobs),
    }


def _phi(data: StepData, update: InnerUpdate) -> Float[Tensor, " B"] | Float[Tensor, "B T"]:
    knobs = data.knobs
    return vespo_phi(
        update.logps,
        data.updates.old_logps,
        data.advantages.values,
        data.batch.loss_mask,
        k_pos=knobs.vespo_k_pos,
        lambda_pos=knobs.vespo_lambda_pos,
        k_neg=knobs.vespo_k_neg,
        lambda_neg=knobs.vespo_lambda_neg,
    )


def _clip_share(flags: Bool[Tensor, "B T"], mask: Bool[Tensor, "B T"], knobs: Knobs) -> float:
    """Return the share of tokens, or of completions where each has but one ratio, as TRL counts."""
    if knobs.importance_sampling_level == "sequence":
        return _row_mean((flags & mask).any(1), mask)
    return _token_mean(flags, mask)


def _row_means(flags: Bool[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, " R"]:
    """Return each completion's share of flagged tokens, empty completions left out."""
    lengths = mask.sum(1)
    shares = (flags & mask).sum(1) / lengths
    return shares[lengths > 0]


def _token_mean(values: Tensor, mask: Bool[Tensor, "B T"]) -> float:
    num_tokens = int(mask.sum())
    return (values.float() * mask).sum().item() / num_tokens if num_tokens else torch.nan


def _row_mean(values: Tensor, mask: Bool[Tensor, "B T"]) -> float:
    """Return the mean over all completions, as TRL does, those that are left out among them, unless all are."""
    return values.float().mean().item() if mask.any() else torch.nan


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def finite_or_none(scalars: Mapping[str, float]) -> dict[str, float | None]:
    """Return the scalars with None for those that are not finite, as JSON wants them."""
    return {name: value if abs(value) < float("inf") else None for name, value in scalars.items()}
