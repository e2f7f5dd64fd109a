"""Mistakes on purpose: each is made by passing on something else at one place between the stages of a step.

No formula knows of them. What they are called, how each shows and what catches it is in `run/bugs.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import Cache

from workbench.engine.advantages import Reference
from workbench.engine.batch import TokenBatch
from workbench.engine.collect import Samples
from workbench.engine.learner import Learner
from workbench.engine.objective import InnerUpdate, Objective, PolicyGradient
from workbench.engine.policy import Policy
from workbench.engine.scoring import Scores
from workbench.grpo import GradientParts, LossTerms
from workbench.run.knobs import Knobs

T = TypeVar("T")


class Hooks:
    """What passes from stage to stage: each hook is given it first, and here returns it as it is."""

    def knobs(self, knobs: Knobs) -> Knobs:
        return knobs

    def scoring(self, learner: Learner) -> Learner:
        """Return the learner for all that comes after the sampling."""
        return learner

    def batch(self, batch: TokenBatch, eos_ids: Sequence[int]) -> TokenBatch:
        return batch

    def compared(self, samples: Samples) -> Samples:
        """Return the samples in the groups that make the advantages."""
        return samples

    def objective(self, objective: Objective) -> Objective:
        return objective

    def old_logps(self, old_logps: Float[Tensor, "B T"] | None, reference: Reference) -> Float[Tensor, "B T"] | None:
        """Return what the ratio divides by; None: the log-probabilities of the first update's own pass."""
        return old_logps


class RatioToReference(Hooks):
    def old_logps(self, old_logps: Float[Tensor, "B T"] | None, reference: Reference) -> Float[Tensor, "B T"] | None:
        assert reference.logps is not None, "check_together refuses this bug where the reference is not scored"
        return reference.logps


class RatioInverted(Hooks):
    def objective(self, objective: Objective) -> Objective:
        return _copied(objective, InvertedRatio)


class LogpsWithoutGradient(Hooks):
    def objective(self, objective: Objective) -> Objective:
        return _copied(objective, WithoutGradient)


class K1AsLoss(Hooks):
    def knobs(self, knobs: Knobs) -> Knobs:
        return knobs.changed({"kl_estimator": "k1", "use_bias_correction_kl": False})


class BatchMeanBaseline(Hooks):
    def compared(self, samples: Samples) -> Samples:
        """Return all completions as the one group of the first prompt."""
        return replace(samples, examples=samples.examples[:1])


class EosNotInMask(Hooks):
    def batch(self, batch: TokenBatch, eos_ids: Sequence[int]) -> TokenBatch:
        ends = torch.isin(batch.completion_ids, torch.tensor(eos_ids, device=batch.completion_ids.device))
        return replace(batch, loss_mask=batch.loss_mask & ~ends)


class PaddingShift(Hooks):
    def scoring(self, learner: Learner) -> Learner:
        plain = replace(learner.policy, fast_paths=learner.policy.fast_paths - {"lean_model"})
        return replace(learner, policy=_copied(plain, Misaligned))


class TemperatureForgotten(Hooks):
    def batch(self, batch: TokenBatch, eos_ids: Sequence[int]) -> TokenBatch:
        return replace(batch, temperature=1.0)


class Misaligned(Policy):
    """A policy that gives the logits of the next position."""

    def logits(
        self,
        ids: Int[Tensor, "R S"],
        mask: Bool[Tensor, "R M"] | None,
        positions: Int[Tensor, "R S"],
        *,
        num_last: int,
        cache: Cache | None = None,
    ) -> Float[Tensor, "R N V"]:
        return super().logits(ids, mask, positions, num_last=num_last, cache=cache).roll(-1, dims=1)


class InvertedRatio(PolicyGradient):
    r"""The loss at log-probabilities mirrored at the old ones, $2 \log \pi_{\text{old}} - \log \pi$.

    Their ratio is $\pi_{\text{old}} / \pi$. The reference is moved along with them, so that the KL stays what it is.
    """

    def terms(
        self, rows: Int[Tensor, " R"], micro: TokenBatch, scores: Scores, old_logps: Float[Tensor, "R T"] | None
    ) -> LossTerms:
        old_logps = scores.logps.detach() if old_logps is None else old_logps
        mirrored = 2 * old_logps - scores.logps
        ref_logps = self.ref_logps
        if ref_logps is not None:
            ref_logps = ref_logps.clone()
            ref_logps[rows, : mirrored.shape[1]] += mirrored - scores.logps
        upright = replace(_copied(self, PolicyGradient), ref_logps=ref_logps)
        return upright.terms(rows, micro, replace(scores, logps=mirrored), old_logps)

    def parts(self, update: InnerUpdate) -> GradientParts:
        parts = super().parts(update)
        return replace(parts, push=-parts.push, lost=-parts.lost)


class WithoutGradient(PolicyGradient):
    """The loss of scores that are constants: its value is right, and nothing can be pushed."""

    def terms(
        self, rows: Int[Tensor, " R"], micro: TokenBatch, scores: Scores, old_logps: Float[Tensor, "R T"] | None
    ) -> LossTerms:
        exact_kl = None if scores.exact_kl is None else scores.exact_kl.detach()
        constants = Scores(scores.logps.detach(), scores.entropy.detach(), exact_kl)
        return super().terms(rows, micro, constants, old_logps)

    def parts(self, update: InnerUpdate) -> GradientParts:
        zeros = torch.zeros_like(update.logps)
        return GradientParts(push=zeros, kl_pull=zeros, lost=zeros)


def _copied(value: Any, kind: Callable[..., T]) -> T:
    """Return a `kind` with the fields of `value`."""
    return kind(**{f.name: getattr(value, f.name) for f in fields(value)})


HOOKS: Mapping[str, Hooks] = {
    "none": Hooks(),
    "ratio_to_reference": RatioToReference(),
    "ratio_inverted": RatioInverted(),
    "logps_without_gradient": LogpsWithoutGradient(),
    "k1_as_loss": K1AsLoss(),
    "batch_mean_baseline": BatchMeanBaseline(),
    "eos_not_in_mask": EosNotInMask(),
    "padding_shift": PaddingShift(),
    "temperature_forgotten": TemperatureForgotten(),
}
