"""SFT, RFT and online RFT: the completions that count are made likelier, all alike."""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.engine.batch import TokenBatch
from workbench.engine.objective import WithoutRatio
from workbench.engine.scoring import Scores
from workbench.grpo import LossTerms, likelihood_loss


@dataclass(frozen=True, eq=False)
class Likelihood(WithoutRatio):
    """The weighted negative log-likelihood of the completions that are kept."""

    kept: Bool[Tensor, " B"]
    weights: Float[Tensor, "B T"]
    is_own: bool  # the policy wrote them

    @property
    def has_exact_kl(self) -> bool:
        """Return True where others wrote the tokens: estimates of KL(π‖π_ref) are for tokens that π has sampled."""
        return not self.is_own and self.ref_logps is not None

    def terms(
        self, rows: Int[Tensor, " R"], micro: TokenBatch, scores: Scores, old_logps: Float[Tensor, "R T"] | None
    ) -> LossTerms:
        kept = self.kept[rows]
        weights = self.weights[rows, : micro.mask.shape[1]]
        terms = likelihood_loss(scores.logps, kept, micro.loss_mask, weights)
        return self._terms(
            rows,
            micro,
            scores,
            old_logps,
            loss=terms.loss if kept.any() else terms.loss.detach(),
            weights=terms.coefficients,
            gain=(terms.coefficients > 0).to(terms.coefficients.dtype),
            token_losses=-terms.coefficients * scores.logps.detach().masked_fill(~micro.loss_mask, 0.0),
        )
