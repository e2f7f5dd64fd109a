"""The formulas of GRPO: tensors in, tensors out, never a model.

Shapes: `P` prompts, `G` completions per prompt, `B = P*G` completions (a prompt's side by side), `T` completion tokens
(padded), `V` vocabulary. Log-probabilities are in nats; a mask is 1 where there is a token; padding may hold anything.

The path of the data: `group_advantages` -> `token_logps` -> `importance_ratio`, `losstypes`, `KL_ESTIMATORS`,
`batch_weights` -> `grpo_loss`, which is their composition; `gradient_parts` takes it apart again.
"""

from workbench.grpo.advantages import frac_reward_zero_std, group_advantages, group_mean_std, is_dead
from workbench.grpo.batchweights import BatchWeights, batch_weights
from workbench.grpo.budget import GradientBudget, gradient_budget
from workbench.grpo.clipping import cispo_clip, clip_flags, clip_high, clip_low, clipped, outside_band
from workbench.grpo.coefficients import GradientParts, gradient_coefficient, gradient_parts
from workbench.grpo.estimators import (
    ADVANTAGE_ESTIMATORS,
    estimate_advantages,
    gdpo_advantages,
    pass_at_k_advantages,
    rank_advantages,
    reinforce_plus_plus_advantages,
    rloo_advantages,
    summed_z_scores,
)
from workbench.grpo.gae import generalised_advantages, terminal_rewards, value_loss, whiten
from workbench.grpo.kl import KL_ESTIMATORS, KL_NAMES, KL_SLOPES, exact_kl, kl_k1, kl_k2, kl_k3
from workbench.grpo.likelihood import LikelihoodTerms, likelihood_loss
from workbench.grpo.logprobs import logps_and_entropy, token_entropy, token_logps
from workbench.grpo.loss import LossTerms, grpo_loss
from workbench.grpo.methods import METHODS, method_coefficient
from workbench.grpo.options import LossOptions
from workbench.grpo.penalty import kl_penalty, token_kl
from workbench.grpo.preference import DpoTerms, dpo_loss, preference_pairs
from workbench.grpo.process import ProcessAdvantages, process_advantages
from workbench.grpo.ranking import bradley_terry_loss, correlation, pair_accuracy, ranked_pairs
from workbench.grpo.soft import cispo_weight, sapo_gain, sapo_surrogate, vespo_phi
from workbench.grpo.surrogate import clipped_surrogate, importance_ratio
from workbench.grpo.tokenmasks import high_entropy_mask, on_policy_mask
from workbench.grpo.weights import (
    CLIPPED_LOSS_TYPES,
    LOSS_TYPES,
    WEIGHTS,
    bnpo_weights,
    dapo_weights,
    dr_grpo_weights,
    grpo_weights,
    luspo_weights,
    token_weights,
)

__all__ = [
    "ADVANTAGE_ESTIMATORS",
    "CLIPPED_LOSS_TYPES",
    "KL_ESTIMATORS",
    "KL_NAMES",
    "KL_SLOPES",
    "LOSS_TYPES",
    "METHODS",
    "WEIGHTS",
    "BatchWeights",
    "DpoTerms",
    "GradientBudget",
    "GradientParts",
    "LikelihoodTerms",
    "LossOptions",
    "LossTerms",
    "ProcessAdvantages",
    "batch_weights",
    "bnpo_weights",
    "bradley_terry_loss",
    "cispo_clip",
    "cispo_weight",
    "clip_flags",
    "clip_high",
    "clip_low",
    "clipped",
    "clipped_surrogate",
    "correlation",
    "dapo_weights",
    "dpo_loss",
    "dr_grpo_weights",
    "estimate_advantages",
    "exact_kl",
    "frac_reward_zero_std",
    "gdpo_advantages",
    "generalised_advantages",
    "gradient_budget",
    "gradient_coefficient",
    "gradient_parts",
    "group_advantages",
    "group_mean_std",
    "grpo_loss",
    "grpo_weights",
    "high_entropy_mask",
    "importance_ratio",
    "is_dead",
    "kl_k1",
    "kl_k2",
    "kl_k3",
    "kl_penalty",
    "likelihood_loss",
    "logps_and_entropy",
    "luspo_weights",
    "method_coefficient",
    "on_policy_mask",
    "outside_band",
    "pair_accuracy",
    "pass_at_k_advantages",
    "preference_pairs",
    "process_advantages",
    "rank_advantages",
    "ranked_pairs",
    "reinforce_plus_plus_advantages",
    "rloo_advantages",
    "sapo_gain",
    "sapo_surrogate",
    "summed_z_scores",
    "terminal_rewards",
    "token_entropy",
    "token_kl",
    "token_logps",
    "token_weights",
    "value_loss",
    "vespo_phi",
    "whiten",
]
