"""The scalars of a step, with TRL's names and formulas (`trl/trainer/grpo_trainer.py`, 1.16).

Where TRL makes one optimizer step, a step here makes μ: what belongs to an update (loss, grad_norm, kl, entropy,
clip_ratio) is the mean over them, as TRL's logger averages over a window of steps. NaN: nothing could be measured.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from workbench.engine.rewards import Judgement
from workbench.engine.sampling import Rollout
from workbench.engine.update import InnerUpdate, Updates
from workbench.grpo import clip_high, clip_low, frac_reward_zero_std
from workbench.grpo.advantages import nan_std
from workbench.run.knobs import Knobs

Scalars = dict[str, float]


def step_metrics(
    rollout: Rollout,
    judgement: Judgement,
    advantages: Float[Tensor, " B"],
    updates: Updates,
    has_ref: bool,
    knobs: Knobs,
) -> tuple[Scalars, tuple[Scalars, ...]]:
    """Return the step's metrics by TRL's names, and each inner update's own numbers."""
    by_update = tuple(_update_scalars(u, advantages, rollout.mask, has_ref, knobs) for u in updates.inner)
    means = {name: _mean([update[name] for update in by_update]) for name in by_update[0]}
    metrics = {
        **_reward_metrics(judgement, knobs),
        **_completion_metrics(rollout),
        **{name: means[name] for name in ("loss", "grad_norm", "kl", "entropy")},
        "clip_ratio/low_mean": means["clip_low"],
        "clip_ratio/low_min": _mean([update.pop("clip_low_min") for update in by_update]),
        "clip_ratio/high_mean": means["clip_high"],
        "clip_ratio/high_max": _mean([update.pop("clip_high_max") for update in by_update]),
        "clip_ratio/region_mean": means["clip_region"],
        "learning_rate": knobs.learning_rate,
    }
    return metrics, by_update


def _reward_metrics(judgement: Judgement, knobs: Knobs) -> Scalars:
    scores = {name: torch.tensor([float(r) for r in rewards]) for name, rewards in judgement.by_function.items()}
    zero_std = frac_reward_zero_std(judgement.totals, knobs.num_generations, scale_rewards=knobs.scale_rewards)
    return {
        "reward": judgement.totals.nanmean().item(),
        "reward_std": nan_std(judgement.totals[None]).item(),
        "frac_reward_zero_std": zero_std.item(),
        **{f"rewards/{name}/mean": values.nanmean().item() for name, values in scores.items()},
        **{f"rewards/{name}/std": nan_std(values[None]).item() for name, values in scores.items()},
    }


def _completion_metrics(rollout: Rollout) -> Scalars:
    lengths = rollout.mask.sum(1).float()
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


def _update_scalars(
    update: InnerUpdate, advantages: Float[Tensor, " B"], mask: Bool[Tensor, "B T"], has_ref: bool, knobs: Knobs
) -> Scalars:
    terms, delta = update.terms, knobs.delta
    epsilon_high = knobs.epsilon if knobs.epsilon_high is None else knobs.epsilon_high
    low = clip_low(terms.ratio, advantages, knobs.epsilon, delta)
    high = clip_high(terms.ratio, advantages, epsilon_high, delta)
    low_rows, high_rows = _row_means(low, mask), _row_means(high, mask)
    return {
        "loss": terms.loss.item(),
        "grad_norm": update.grad_norm.item(),
        "kl": _token_mean(terms.kl, mask) if has_ref else torch.nan,
        "entropy": _token_mean(update.entropy, mask),
        "clip_low": _clip_share(low, mask, knobs),
        "clip_high": _clip_share(high, mask, knobs),
        "clip_region": _clip_share(low | high, mask, knobs),
        "clip_low_min": low_rows.min().item() if len(low_rows) else 0.0,
        "clip_high_max": high_rows.max().item() if len(high_rows) else 0.0,
        "zero_gradient": _token_mean(terms.clipped, mask),
        "outside": _token_mean(terms.outside_band, mask),
        "ratio_min": terms.ratio.masked_fill(~mask, torch.inf).min().item(),
        "ratio_max": terms.ratio.masked_fill(~mask, -torch.inf).max().item(),
        "logp_mean": _token_mean(update.logps, mask),
    }


def _clip_share(flags: Bool[Tensor, "B T"], mask: Bool[Tensor, "B T"], knobs: Knobs) -> float:
    """Return the share of tokens, or of completions where each has but one ratio, as TRL counts."""
    if knobs.importance_sampling_level == "sequence":
        return (flags & mask).any(1).float().mean().item()
    return _token_mean(flags, mask)


def _row_means(flags: Bool[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, " R"]:
    """Return each completion's share of flagged tokens, empty completions left out."""
    lengths = mask.sum(1)
    shares = (flags & mask).sum(1) / lengths
    return shares[lengths > 0]


def _token_mean(values: Tensor, mask: Bool[Tensor, "B T"]) -> float:
    return (values.float() * mask).sum().item() / max(1, int(mask.sum()))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def finite_or_none(scalars: Mapping[str, float]) -> dict[str, float | None]:
    """Return the scalars with None for those that are not finite, as JSON wants them."""
    return {name: value if abs(value) < float("inf") else None for name, value in scalars.items()}
