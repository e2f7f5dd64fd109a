"""The μ inner updates on one batch, each one's forward pass recorded, so that the ratio can be seen leaving 1."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.engine.batch import TokenBatch
from workbench.engine.objective import InnerUpdate, Objective
from workbench.engine.parallel import in_parallel
from workbench.engine.policy import Policy
from workbench.engine.scoring import Part, Scorer, scorer_of
from workbench.engine.storage import gradients_of, num_bytes
from workbench.grpo import LossTerms
from workbench.run.knobs import Knobs
from workbench.run.record import Progress


@dataclass(frozen=True, eq=False)
class Updates:
    """All inner updates of a step. `old_logps` are what the ratio divides by: unless given, the first pass's own."""

    old_logps: Float[Tensor, "B T"]
    inner: tuple[InnerUpdate, ...]
    gradient_bytes: int
    is_compiled: bool  # some part's pass was


def update_policy(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    batch: TokenBatch,
    objective: Objective,
    knobs: Knobs,
    *,
    step: int,
    micro_batch_size: int,
    max_grad_norm: float,
    old_logps: Float[Tensor, "B T"] | None = None,
) -> Generator[Progress, None, Updates]:
    """Move the policy μ times on the same samples, yielding after each time; return what each pass saw.

    The first pass is on-policy, so unless `old_logps` are given its own log-probabilities are the old ones and no pass
    is spent on them. An update whose gradient is not finite is left out: the weights stay as they were, and its
    `grad_norm` says so.
    """
    inner, gradient_bytes, is_compiled = [], 0, False
    for group in optimizer.param_groups:
        group["lr"] = knobs.learning_rate
    for k in range(knobs.num_iterations):
        scorer = scorer_of(
            policy, has_exact_kl=objective.has_exact_kl, entropy_has_gradient=objective.entropy_has_gradient
        )
        seen, terms = _accumulate(policy, scorer, batch, objective, old_logps, micro_batch_size)
        is_compiled |= scorer.is_compiled
        grad_norm = torch.nn.utils.clip_grad_norm_(policy.trainable, max_grad_norm)
        if grad_norm.isfinite():
            optimizer.step()
        gradient_bytes = num_bytes(gradients_of(policy.trainable))
        optimizer.zero_grad(set_to_none=True)
        inner.append(InnerUpdate(terms=terms, grad_norm=grad_norm, **seen))
        old_logps = seen["logps"] if old_logps is None else old_logps
        yield Progress(step, "update", k + 1, knobs.num_iterations)
    assert old_logps is not None, "num_iterations is at least 1"
    return Updates(old_logps, tuple(inner), gradient_bytes, is_compiled)


def _accumulate(
    policy: Policy,
    scorer: Scorer,
    batch: TokenBatch,
    objective: Objective,
    old_logps: Float[Tensor, "B T"] | None,
    micro_batch_size: int,
) -> tuple[dict[str, Float[Tensor, "B T"]], LossTerms]:
    """Add up the gradient over the parts; return all terms, and what an `InnerUpdate` has of each token."""
    weights = policy.trainable

    def learn(part: Part) -> tuple[dict[str, Tensor], LossTerms, tuple[Tensor | None, ...]]:
        rows, micro = part
        scores = scorer.score(micro, entropy_has_gradient=objective.entropy_has_gradient)
        old = None if old_logps is None else old_logps[rows, : micro.mask.shape[1]]
        terms = objective.terms(rows, micro, scores, old)
        gradient, *to_weights = _gradients(terms.loss, (scores.logps, *weights))
        coefficients = torch.zeros_like(scores.logps) if gradient is None else -gradient
        terms = replace(terms, loss=terms.loss.detach())  # lets go of the part's activations
        found = {"logps": scores.logps.detach(), "entropy": scores.entropy.detach(), "coefficients": coefficients}
        if scores.exact_kl is not None:
            found["exact_kl"] = scores.exact_kl.detach()
        return found, terms, tuple(to_weights)

    parts = scorer.parts(batch, micro_batch_size, objective.kept_together)
    names = ("logps", "entropy", "coefficients", *(("exact_kl",) if objective.has_exact_kl else ()))
    seen = {name: torch.zeros(batch.mask.shape, device=policy.device) for name in names}
    terms_of_parts = []
    for (rows, micro), (found, terms, gradients) in zip(
        parts, in_parallel(learn, parts, scorer.num_workers), strict=True
    ):
        for name, whole in seen.items():
            whole[rows, : found[name].shape[1]] = found[name].masked_fill(~micro.mask, 0.0)
        _add(gradients, weights)
        terms_of_parts.append((rows, terms))
    return seen, _whole(terms_of_parts, batch)


def _add(gradients: Sequence[Tensor | None], weights: Sequence[Tensor]) -> None:
    """Add to each weight's gradient, in the weight's own layout: the fused optimizer reads memory as it lies."""
    for weight, gradient in zip(weights, gradients, strict=True):
        if gradient is not None:
            weight.grad = gradient.contiguous() if weight.grad is None else weight.grad.add_(gradient)


def _gradients(loss: Tensor, of: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
    """Return the gradient of each; None where the loss does not depend on it."""
    return torch.autograd.grad(loss, of, allow_unused=True) if loss.requires_grad else (None,) * len(of)


def _whole(parts: list[tuple[Tensor, LossTerms]], batch: TokenBatch) -> LossTerms:
    """Return the terms of all rows in their order: losses added up; padding says ratio 1, all else 0."""
    whole = {}
    for name, values in _by_field(parts):
        if values[0].dim() == 0:
            whole[name] = torch.stack(values).sum()
            continue
        whole[name] = torch.full(batch.mask.shape, int(name == "ratio"), dtype=values[0].dtype, device=values[0].device)
        for (rows, _), value in zip(parts, values, strict=True):
            whole[name][rows, : value.shape[1]] = value
    return LossTerms(**whole)


def _by_field(parts: list[tuple[Tensor, LossTerms]]) -> Iterator[tuple[str, list[Tensor]]]:
    for f in fields(LossTerms):
        yield f.name, [getattr(terms, f.name) for _, terms in parts]
