"""The options of the loss, by TRL's names, and what cannot go together."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from workbench.grpo.kl import check_estimator
from workbench.grpo.surrogate import check_level
from workbench.grpo.tokenmasks import check_quantile
from workbench.grpo.weights import check_loss_type


@dataclass(frozen=True)
class LossOptions:
    """What `grpo_loss` takes besides tensors. Raises ValueError when made of what is unknown or does not go together.

    >>> LossOptions(loss_type="cispo", epsilon_high=5.0).cap
    5.0
    """

    loss_type: str = "grpo"
    beta: float = 0.0  # of the KL to the reference
    epsilon: float = 0.2
    epsilon_high: float | None = None  # epsilon if None; for cispo the cap itself
    delta: float | None = None
    importance_sampling_level: str = "token"
    kl_estimator: str = "k3"
    use_bias_correction_kl: bool = False  # times the ratio
    max_completion_length: int | None = None  # what dr_grpo divides by
    sapo_temperature_pos: float = 1.0
    sapo_temperature_neg: float = 1.05
    vespo_k_pos: float = 2.0
    vespo_lambda_pos: float = 3.0
    vespo_k_neg: float = 3.0
    vespo_lambda_neg: float = 2.0
    off_policy_mask_threshold: float | None = None  # nats a token; None: no mask
    top_entropy_quantile: float = 1.0  # share of the tokens that learn from the reward
    entropy_coef: float = 0.0  # of the mean entropy, which is raised

    def __post_init__(self) -> None:
        check_loss_type(self.loss_type)
        check_level(self.importance_sampling_level)
        check_estimator(self.kl_estimator)
        check_quantile(self.top_entropy_quantile)
        for name in ("epsilon", "epsilon_high", "delta"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise ValueError(f"{name}={value} is not at least 0")
        if self.max_completion_length is not None and self.max_completion_length < 1:
            raise ValueError(f"max_completion_length={self.max_completion_length} is not at least 1 token")
        if self.kl_estimator == "exact" and self.use_bias_correction_kl:
            raise ValueError(
                "kl_estimator='exact' cannot go with use_bias_correction_kl=True: "
                "a sum over the whole vocabulary is no sample, so there is nothing for the importance ratio to correct"
            )
        if self.loss_type == "sapo":
            for name in ("sapo_temperature_pos", "sapo_temperature_neg"):
                if not getattr(self, name) > 0:
                    raise ValueError(f"{name}={getattr(self, name)} is not above 0, and the surrogate is divided by it")

    @property
    def cap(self) -> float:
        """Return cispo's cap on the ratio: `epsilon_high`, or `epsilon` where there is none, as TRL reads it."""
        return self.epsilon if self.epsilon_high is None else self.epsilon_high

    def check_inputs(
        self,
        ref_logps: Float[Tensor, "B T"] | None,
        entropies: Float[Tensor, "B T"] | None,
        exact_kl: Float[Tensor, "B T"] | None,
    ) -> None:
        """Raise ValueError if beta or entropy_coef weighs something that was not given."""
        if self.beta != 0 and self.kl_estimator == "exact" and exact_kl is None:
            raise ValueError(f"beta={self.beta} weighs the exact KL to a reference, but exact_kl is None")
        if self.beta != 0 and self.kl_estimator != "exact" and ref_logps is None:
            raise ValueError(f"beta={self.beta} weighs the KL to a reference, but ref_logps is None")
        if self.entropy_coef != 0 and entropies is None:
            raise ValueError(f"entropy_coef={self.entropy_coef} weighs the tokens' entropies, which are None")
