"""The μ inner updates on one batch, each one's forward pass recorded, so that the ratio can be seen leaving 1."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from workbench.engine.batch import TokenBatch, score
from workbench.engine.policy import Policy
from workbench.grpo import LossTerms, grpo_loss, token_weights
from workbench.run.knobs import Knobs
from workbench.run.record import Progress

_TERMS = ("ratio", "kl", "clipped", "outside_band")
_LOSS_KNOBS = ("loss_type", "beta", "epsilon", "epsilon_high", "delta", "importance_sampling_level", "kl_estimator")


@dataclass(frozen=True, eq=False)
class InnerUpdate:
    """One forward pass, its loss and the gradient that followed, all from before the optimizer's step."""

    logps: Float[Tensor, "B T"]  # nats; 0 on padding
    entropy: Float[Tensor, "B T"]  # nats; 0 on padding
    terms: LossTerms
    grad_norm: Float[Tensor, ""]  # before it was scaled down to max_grad_norm


@dataclass(frozen=True, eq=False)
class Updates:
    """All inner updates of a step. `old_logps` are the log-probabilities of the first one's own forward pass."""

    old_logps: Float[Tensor, "B T"]
    inner: tuple[InnerUpdate, ...]


def update_policy(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    batch: TokenBatch,
    ref_logps: Float[Tensor, "B T"] | None,
    advantages: Float[Tensor, " B"],
    knobs: Knobs,
    *,
    step: int,
    micro_batch_size: int,
    max_grad_norm: float,
) -> Generator[Progress, None, Updates]:
    """Move the policy μ times on the same samples, yielding after each time; return what each pass saw.

    The first pass is on-policy, so its own log-probabilities are the old ones and no pass is spent on them. An update
    whose gradient is not finite is left out: the weights stay as they were, and its `grad_norm` says so.
    """
    weights = token_weights(knobs.loss_type, batch.mask, knobs.max_completion_length)
    old_logps: Float[Tensor, "B T"] | None = None
    inner = []
    for group in optimizer.param_groups:
        group["lr"] = knobs.learning_rate
    for k in range(knobs.num_iterations):
        logps, entropy, terms = _accumulate(
            policy, batch, old_logps, ref_logps, advantages, weights, knobs, micro_batch_size
        )
        grad_norm = torch.nn.utils.clip_grad_norm_(policy.trainable, max_grad_norm)
        if grad_norm.isfinite():
            optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        inner.append(InnerUpdate(logps, entropy, terms, grad_norm))
        old_logps = inner[0].logps
        yield Progress(step, "update", k + 1, knobs.num_iterations)
    assert old_logps is not None, "num_iterations is at least 1"
    return Updates(old_logps, tuple(inner))


def _accumulate(
    policy: Policy,
    batch: TokenBatch,
    old_logps: Float[Tensor, "B T"] | None,
    ref_logps: Float[Tensor, "B T"] | None,
    advantages: Float[Tensor, " B"],
    weights: Float[Tensor, "B T"],
    knobs: Knobs,
    micro_batch_size: int,
) -> tuple[Float[Tensor, "B T"], Float[Tensor, "B T"], LossTerms]:
    """Add up the gradient over the micro-batches; return all log-probabilities, entropies and loss terms."""
    whole = _empty_batch(batch.mask)
    loss = torch.zeros((), device=policy.device)
    for rows, micro in batch.micro_batches(micro_batch_size):
        logps, entropy = score(policy, micro)
        part = slice(logps.shape[1])
        terms = grpo_loss(
            logps,
            logps.detach() if old_logps is None else old_logps[rows, part],
            None if ref_logps is None else ref_logps[rows, part],
            advantages[rows],
            micro.mask,
            weights=weights[rows, part],
            max_completion_length=knobs.max_completion_length,
            **loss_options(knobs),
        )
        terms.loss.backward()
        loss += terms.loss.detach()
        seen = {"logps": logps.detach(), "entropy": entropy, **{name: getattr(terms, name) for name in _TERMS}}
        for name, value in seen.items():
            whole[name][rows, part] = torch.where(micro.mask, value, whole[name][rows, part])
    terms = LossTerms(loss=loss, weights=weights, **{name: whole.pop(name) for name in _TERMS})
    return whole["logps"], whole["entropy"], terms


def loss_options(knobs: Knobs) -> dict[str, Any]:
    """Return the knobs that `grpo_loss` takes, by its names for them."""
    return {name: getattr(knobs, name) for name in _LOSS_KNOBS}


def _empty_batch(mask: Bool[Tensor, "B T"]) -> dict[str, Tensor]:
    """Return what `grpo_loss` says of padding: ratio 1, all else 0."""
    numbers = {name: torch.zeros(mask.shape, device=mask.device) for name in ("logps", "entropy", "kl")}
    flags = {name: torch.zeros_like(mask) for name in ("clipped", "outside_band")}
    return numbers | flags | {"ratio": torch.ones(mask.shape, device=mask.device)}
