"""What an update lowers, by method: from the scores of some rows to their loss. The rest of a step is the same."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.engine.batch import TokenBatch
from workbench.engine.scoring import Scores
from workbench.grpo import (
    KL_ESTIMATORS,
    BatchWeights,
    GradientParts,
    LossTerms,
    gradient_parts,
    grpo_loss,
    importance_ratio,
)
from workbench.grpo.padding import zero_padding
from workbench.run.knobs import Knobs

_LOSS_KNOBS = (
    "loss_type",
    "beta",
    "epsilon",
    "epsilon_high",
    "delta",
    "importance_sampling_level",
    "kl_estimator",
    "use_bias_correction_kl",
    "max_completion_length",
    "sapo_temperature_pos",
    "sapo_temperature_neg",
    "vespo_k_pos",
    "vespo_lambda_pos",
    "vespo_k_neg",
    "vespo_lambda_neg",
    "off_policy_mask_threshold",
    "top_entropy_quantile",
    "entropy_coef",
)


@dataclass(frozen=True, eq=False)
class InnerUpdate:
    """One forward pass, its loss and the gradient that followed, all from before the optimizer's step."""

    logps: Float[Tensor, "B T"]  # nats; 0 on padding
    entropy: Float[Tensor, "B T"]  # nats; 0 on padding
    coefficients: Float[Tensor, "B T"]  # −∂loss/∂log π, as autograd gave it; 0 on padding
    terms: LossTerms
    grad_norm: Float[Tensor, ""]  # before it was scaled down to max_grad_norm
    exact_kl: Float[Tensor, "B T"] | None = None  # nats, of tokens left out of the loss too; None: not asked for


class Objective(ABC):
    """A loss of the whole batch that micro-batches of its rows add up to."""

    @property
    def entropy_has_gradient(self) -> bool:
        """Return whether the entropies need one."""
        return False

    @property
    def has_exact_kl(self) -> bool:
        """Return whether the scores need a KL over the whole vocabulary."""
        return False

    @property
    def has_ratio(self) -> bool:
        """Return whether the loss looks at π/π_old, so that there is something to say of its clip."""
        return True

    @property
    def kept_together(self) -> Int[Tensor, "N 2"] | None:
        """Return the pairs of rows that only have a loss together."""
        return None

    @abstractmethod
    def terms(
        self, rows: Int[Tensor, " R"], micro: TokenBatch, scores: Scores, old_logps: Float[Tensor, "R T"] | None
    ) -> LossTerms:
        """Return the loss of some rows. `old_logps` is None in the first update, whose own pass is the old policy."""

    @abstractmethod
    def parts(self, update: InnerUpdate) -> GradientParts:
        """Return what pushed each token of the whole batch: push and KL pull add up to the coefficients."""

    def scalars(self, update: InnerUpdate) -> dict[str, float]:
        """Return what else there is to know of an update, by the metric's name."""
        return {}


@dataclass(frozen=True, eq=False)
class PolicyGradient(Objective):
    """GRPO's loss in all its forms; PPO's too, which differs in the advantages."""

    advantages: Float[Tensor, " B"] | Float[Tensor, "B T"]
    ref_logps: Float[Tensor, "B T"] | None
    batch: TokenBatch
    weights: BatchWeights
    knobs: Knobs

    @property
    def entropy_has_gradient(self) -> bool:
        return self.knobs.entropy_coef > 0

    @property
    def has_exact_kl(self) -> bool:
        return self._options["kl_estimator"] == "exact" and self._options["beta"] > 0

    @property
    def _options(self) -> dict[str, Any]:
        return loss_options(self.knobs)

    def terms(
        self, rows: Int[Tensor, " R"], micro: TokenBatch, scores: Scores, old_logps: Float[Tensor, "R T"] | None
    ) -> LossTerms:
        part = slice(micro.mask.shape[1])
        by_token = self.advantages.dim() == 2
        return grpo_loss(
            scores.logps,
            scores.logps.detach() if old_logps is None else old_logps,
            None if self.ref_logps is None else self.ref_logps[rows, part],
            self.advantages[rows, part] if by_token else self.advantages[rows],
            micro.loss_mask,
            weights=self.weights.rows(rows, micro.mask.shape[1]),
            entropies=scores.entropy,
            exact_kl=scores.exact_kl,
            **self._options,
        )

    def parts(self, update: InnerUpdate) -> GradientParts:
        return gradient_parts(
            update.terms, update.logps, self.ref_logps, self.advantages, self.batch.loss_mask, **self._options
        )


def loss_options(knobs: Knobs) -> dict[str, Any]:
    """Return the knobs that `grpo_loss` takes, by its names for them. A KL in the reward is not in the loss."""
    options = {name: getattr(knobs, name) for name in _LOSS_KNOBS}
    if knobs.kl_in == "reward":
        options["beta"] = 0.0
    if options["beta"] == 0:  # a KL that is shown only: the exact one would cost a pass, and nothing is corrected
        options["use_bias_correction_kl"] = False
        if options["kl_estimator"] == "exact":
            options["kl_estimator"] = "k3"
    return options


@dataclass(frozen=True, eq=False)
class WithoutRatio(Objective):
    """What the losses have in common that look at no old policy. Ratio and KL are shown, and are in none of them."""

    ref_logps: Float[Tensor, "B T"] | None
    batch: TokenBatch
    knobs: Knobs

    @property
    def has_ratio(self) -> bool:
        return False

    def parts(self, update: InnerUpdate) -> GradientParts:
        nothing = torch.zeros_like(update.coefficients)
        return GradientParts(push=update.coefficients, kl_pull=nothing, lost=nothing)

    def _terms(
        self,
        rows: Int[Tensor, " R"],
        micro: TokenBatch,
        scores: Scores,
        old_logps: Float[Tensor, "R T"] | None,
        *,
        loss: Float[Tensor, ""],
        weights: Float[Tensor, "R T"],
        gain: Float[Tensor, "R T"],
        token_losses: Float[Tensor, "R T"],
    ) -> LossTerms:
        logps, mask = zero_padding(scores.logps.detach(), micro.loss_mask), micro.loss_mask
        ratio = importance_ratio(logps, logps if old_logps is None else old_logps, mask, "token")
        kl = torch.zeros_like(logps)
        if scores.exact_kl is not None:
            kl = zero_padding(scores.exact_kl.detach(), mask)
        elif self.ref_logps is not None:
            estimator = self.knobs.kl_estimator if self.knobs.kl_estimator != "exact" else "k3"
            kl = KL_ESTIMATORS[estimator](logps, zero_padding(self.ref_logps[rows, : logps.shape[1]], mask))
        nowhere = torch.zeros_like(mask)
        return LossTerms(
            loss=loss,
            ratio=ratio,
            kl=kl,
            clipped=nowhere,
            outside_band=nowhere,
            weights=weights,
            kept=weights > 0,
            gain=gain,
            token_losses=token_losses,
            entropy_bonus=torch.zeros_like(loss.detach()),
        )
