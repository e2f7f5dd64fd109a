"""DPO: the best completion of a group against its worst."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.engine.batch import TokenBatch
from workbench.engine.objective import InnerUpdate, WithoutRatio
from workbench.engine.scoring import Scores
from workbench.grpo import LossTerms, dpo_loss


@dataclass(frozen=True, eq=False)
class Preference(WithoutRatio):
    """DPO's loss of pairs of rows, the better one first; rows of no pair have none."""

    pairs: Int[Tensor, "N 2"]

    @property
    def kept_together(self) -> Int[Tensor, "N 2"]:
        return self.pairs

    def terms(
        self, rows: Int[Tensor, " R"], micro: TokenBatch, scores: Scores, old_logps: Float[Tensor, "R T"] | None
    ) -> LossTerms:
        assert self.ref_logps is not None, "beta > 0 scores the reference"
        pairs = self._pairs_among(rows)
        ref_logps = self.ref_logps[rows, : micro.mask.shape[1]]
        num_pairs = max(1, len(self.pairs))
        beta = self.knobs.beta
        terms = dpo_loss(scores.logps, ref_logps, micro.loss_mask, pairs, beta, num_pairs_of_batch=num_pairs)
        is_paired = micro.loss_mask & torch.isin(torch.arange(len(rows), device=rows.device), pairs)[:, None]
        return self._terms(
            rows,
            micro,
            scores,
            old_logps,
            loss=terms.loss if len(pairs) else terms.loss.detach(),
            weights=is_paired / num_pairs,
            gain=terms.coefficients.abs() * num_pairs,
            token_losses=_shared_by_tokens(terms.margins, pairs, is_paired) / num_pairs,
        )

    def scalars(self, update: InnerUpdate) -> dict[str, float]:
        """Return the pairs' mean margin and the share that is told apart, by the names of TRL's DPOTrainer."""
        assert self.ref_logps is not None, "beta > 0 scores the reference"
        margins = dpo_loss(update.logps, self.ref_logps, self.batch.loss_mask, self.pairs, self.knobs.beta).margins
        return {
            "rewards/margins": margins.mean().item(),
            "rewards/accuracies": (margins > 0).float().mean().item(),
        }

    def _pairs_among(self, rows: Int[Tensor, " R"]) -> Int[Tensor, "M 2"]:
        """Return the pairs that are in `rows`, as places there."""
        places = torch.full((len(self.batch.mask),), -1, device=rows.device)
        places[rows] = torch.arange(len(rows), device=rows.device)
        found = places[self.pairs]
        return found[(found >= 0).all(1)]


def _shared_by_tokens(
    margins: Float[Tensor, " M"], pairs: Int[Tensor, "M 2"], is_paired: Tensor
) -> Float[Tensor, "R T"]:
    """Return each pair's −log σ(m), half of it to each completion and there as much to each token."""
    losses = torch.zeros(len(is_paired), device=margins.device, dtype=margins.dtype)
    for column in (0, 1):
        losses[pairs[:, column]] = -torch.nn.functional.logsigmoid(margins) / 2
    return is_paired * (losses / is_paired.sum(1).clamp(min=1))[:, None]
