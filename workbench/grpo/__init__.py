"""The formulas of GRPO: tensors in, tensors out, never a model.

Shapes: `P` prompts, `G` completions per prompt, `B = P*G` completions (a prompt's side by side), `T` completion tokens
(padded), `V` vocabulary. Log-probabilities are in nats; a mask is 1 where there is a token; padding may hold anything.

The path of the data: `group_advantages` -> `token_logps` -> `importance_ratio`, `clipped_surrogate`, `KL_ESTIMATORS`,
`token_weights` -> `grpo_loss`, which is their composition; `gradient_parts` takes it apart again.
"""

from workbench.grpo.advantages import frac_reward_zero_std, group_advantages, group_mean_std, is_dead
from workbench.grpo.budget import GradientBudget, gradient_budget
from workbench.grpo.clipping import clip_high, clip_low, clipped, outside_band
from workbench.grpo.coefficients import GradientParts, gradient_coefficient, gradient_parts
from workbench.grpo.kl import KL_ESTIMATORS, KL_SLOPES, kl_k1, kl_k2, kl_k3
from workbench.grpo.logprobs import logps_and_entropy, token_entropy, token_logps
from workbench.grpo.loss import LossTerms, grpo_loss
from workbench.grpo.surrogate import clipped_surrogate, importance_ratio
from workbench.grpo.weights import (
    WEIGHTS,
    bnpo_weights,
    dapo_weights,
    dr_grpo_weights,
    grpo_weights,
    token_weights,
)

__all__ = [
    "KL_ESTIMATORS",
    "KL_SLOPES",
    "WEIGHTS",
    "GradientBudget",
    "GradientParts",
    "LossTerms",
    "bnpo_weights",
    "clip_high",
    "clip_low",
    "clipped",
    "clipped_surrogate",
    "dapo_weights",
    "dr_grpo_weights",
    "frac_reward_zero_std",
    "gradient_budget",
    "gradient_coefficient",
    "gradient_parts",
    "group_advantages",
    "group_mean_std",
    "grpo_loss",
    "grpo_weights",
    "importance_ratio",
    "is_dead",
    "kl_k1",
    "kl_k2",
    "kl_k3",
    "logps_and_entropy",
    "outside_band",
    "token_entropy",
    "token_logps",
    "token_weights",
]
