"""What a token weighs in the loss of its batch: made once for the batch, cut for its micro-batches."""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.grpo.padding import Mask, as_numbers
from workbench.grpo.tokenmasks import check_quantile, high_entropy_mask
from workbench.grpo.weights import token_weights


@dataclass(frozen=True, eq=False)
class BatchWeights:
    """The weights of a batch. Padding: 0 and False."""

    loss: Float[Tensor, "B T"]  # of the token's term in the loss
    entropy: Float[Tensor, "B T"]  # of its entropy in the bonus: 1 / the number of high-entropy tokens
    high_entropy: Bool[Tensor, "B T"]  # its surrogate counts

    def rows(self, rows: Int[Tensor, " R"], length: int) -> "BatchWeights":
        """Return the weights of some rows, cut to `length` columns. They keep the batch's denominators and threshold.

        >>> import torch
        >>> batch_weights("dapo", torch.tensor([[1, 0], [1, 1]])).rows(torch.tensor([0]), 1).loss
        tensor([[0.3333]])
        """
        return BatchWeights(
            loss=self.loss[rows, :length],
            entropy=self.entropy[rows, :length],
            high_entropy=self.high_entropy[rows, :length],
        )


def batch_weights(
    loss_type: str,
    mask: Mask,
    *,
    max_completion_length: int | None = None,
    entropies: Float[Tensor, "B T"] | None = None,
    top_entropy_quantile: float = 1.0,
) -> BatchWeights:
    r"""Return `token_weights`, the tokens of `high_entropy_mask`, and their weights $1 / n$ in the entropy bonus.

    They are float32 unless the mask is float64. TRL takes the threshold and n per micro-batch, so with gradient
    accumulation its bonus and its threshold depend on the split; these do not. TRL also ranks by each update's own
    entropies; the engine gives those of sampling, for all μ updates. Raises ValueError for an unknown loss
    type, dr_grpo without its length, a share outside [0, 1] or a share below 1 without entropies.

    >>> import torch
    >>> mask, entropies = torch.tensor([[1, 1]]), torch.tensor([[0.5, 0.25]])
    >>> weights = batch_weights("grpo", mask, entropies=entropies, top_entropy_quantile=0.5)
    >>> weights.loss, weights.entropy
    (tensor([[0.5000, 0.5000]]), tensor([[1., 0.]]))
    """
    check_quantile(top_entropy_quantile)
    high_entropy = mask.bool()
    if top_entropy_quantile < 1:
        if entropies is None:
            raise ValueError(f"top_entropy_quantile={top_entropy_quantile} ranks the tokens' entropies, which are None")
        high_entropy = high_entropy_mask(entropies, mask, top_entropy_quantile)
    loss = token_weights(loss_type, mask, max_completion_length)
    chosen = as_numbers(high_entropy).to(loss.dtype)
    return BatchWeights(loss=loss, entropy=chosen / chosen.sum().clamp(min=1.0), high_entropy=high_entropy)
