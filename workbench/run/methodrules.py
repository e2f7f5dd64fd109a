"""Which knobs and settings cannot go together, and why; and which knobs a method leaves unused."""

from collections.abc import Callable

from workbench.errors import KnobError
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs

_ADVANTAGE = ("scale_rewards", "std_ddof", "std_eps", "advantage_estimator", "pass_k", "supervision")
_CLIP = ("epsilon", "epsilon_high", "delta", "importance_sampling_level")
_LIKELIHOOD = (*_ADVANTAGE, *_CLIP, "beta", "kl_estimator", "kl_in", "use_bias_correction_kl")
_SAMPLING = ("temperature", "top_p", "top_k", "max_num_gen_batches")

# The knobs that a method does not look at.
UNUSED_KNOBS: dict[str, tuple[str, ...]] = {
    "grpo": (),
    "ppo": _ADVANTAGE,
    "dpo": (*_ADVANTAGE, *_CLIP, "loss_type", "kl_estimator", "kl_in", "use_bias_correction_kl"),
    "sft": (*_LIKELIHOOD, *_SAMPLING),  # num_generations says how many demonstrations there are in a step
    "rft": _LIKELIHOOD,
    "online_rft": _LIKELIHOOD,
}

# Each rule: whether it is broken, and the sentence, which may name the values.
_RULES: tuple[tuple[Callable[[RunConfig, Knobs], bool], str], ...] = (
    (
        lambda c, k: c.method == "dpo" and k.beta == 0,
        "method='dpo' weighs its margins with beta, and beta=0 leaves no gradient: give beta a value above 0",
    ),
    (
        lambda c, k: (
            c.method in ("sft", "rft", "online_rft") and k.loss_type not in ("grpo", "bnpo", "dr_grpo", "dapo")
        ),
        "loss_type={k.loss_type!r} reweighs a ratio, and method={c.method!r} has none: "
        "take grpo, bnpo, dr_grpo or dapo, which say how tokens are averaged",
    ),
    (
        lambda c, k: c.method != "grpo" and k.supervision == "process",
        "supervision='process' makes GRPO's advantages, and method={c.method!r} does not use them",
    ),
    (
        lambda c, k: c.method in ("ppo", "rft", "online_rft") and k.max_num_gen_batches > 1,
        "max_num_gen_batches={k.max_num_gen_batches} throws away groups whose rewards are all equal, and "
        "method={c.method!r} learns from them all the same: leave it at 1",
    ),
    (
        lambda c, k: c.method == "ppo" and (k.importance_sampling_level == "sequence" or k.loss_type == "vespo"),
        "method='ppo' gives every token its own advantage, and a ratio of whole sequences has one: "
        "take importance_sampling_level='token' and another loss_type than 'vespo'",
    ),
    (
        lambda c, k: (
            c.method in ("sft", "rft", "online_rft", "dpo") and (k.entropy_coef > 0 or k.top_entropy_quantile < 1)
        ),
        "entropy_coef and top_entropy_quantile act on a policy gradient, and method={c.method!r} has none",
    ),
    (
        lambda c, k: c.method in ("sft", "rft", "online_rft", "dpo") and k.off_policy_mask_threshold is not None,
        "off_policy_mask_threshold acts on advantages, and method={c.method!r} has none: set it to none",
    ),
    (
        lambda c, k: c.learn_reward and c.method not in ("grpo", "ppo"),
        "learn_reward trains a reward model for a policy gradient, and method={c.method!r} has none",
    ),
    (
        lambda c, k: c.learn_reward and k.supervision == "process",
        "learn_reward scores whole completions, and supervision='process' rewards steps: they cannot go together",
    ),
    (
        lambda c, k: c.bug != "none" and c.method != "grpo",
        "bug={c.bug!r} is a mistake in GRPO, and method={c.method!r} does not run that code",
    ),
    (
        lambda c, k: c.bug == "ratio_to_reference" and k.beta == 0 and not c.score_reference,
        "bug='ratio_to_reference' divides by the reference, and beta=0 with score_reference=false leaves it unscored",
    ),
    (
        lambda c, k: c.bug == "ratio_to_reference" and k.loss_type == "online",
        "bug='ratio_to_reference' needs a loss with a ratio to another policy, and loss_type='online' has none",
    ),
    (
        lambda c, k: c.bug == "k1_as_loss" and k.beta == 0,
        "bug='k1_as_loss' shows only where a reference pulls: give beta a value above 0",
    ),
    (
        lambda c, k: c.bug == "k1_as_loss" and k.kl_in == "reward",
        "bug='k1_as_loss' is a mistake in the loss, and kl_in='reward' takes the KL out of it",
    ),
    (
        lambda c, k: c.bug == "temperature_forgotten" and k.temperature == 1,
        "bug='temperature_forgotten' shows only at a temperature other than 1: take temperature=0.7",
    ),
    (
        lambda c, k: c.bug == "ratio_inverted" and k.loss_type in ("online", "cispo", "vespo"),
        "bug='ratio_inverted' needs a loss that learns through the ratio, and loss_type={k.loss_type!r} does not: "
        "take grpo, bnpo, dr_grpo, dapo, luspo or sapo",
    ),
    (
        lambda c, k: (
            c.bug == "ratio_inverted" and (k.use_bias_correction_kl or k.off_policy_mask_threshold is not None)
        ),
        "bug='ratio_inverted' turns over the ratio of the surrogate alone: turn use_bias_correction_kl off and set "
        "off_policy_mask_threshold to none",
    ),
    (
        lambda c, k: c.bug == "batch_mean_baseline" and c.prompts_per_step == 1,
        "bug='batch_mean_baseline' shows only where a batch has several groups: take prompts_per_step above 1",
    ),
    (
        lambda c, k: c.bug == "batch_mean_baseline" and (k.supervision == "process" or k.advantage_estimator != "grpo"),
        "bug='batch_mean_baseline' is a mistake in the advantages of supervision='outcome' and "
        "advantage_estimator='grpo': take these",
    ),
)


def check_together(config: RunConfig, knobs: Knobs) -> None:
    """Raise KnobError, with the sentence that says why, if `knobs` do not suit a run of `config`."""
    for is_broken, sentence in _RULES:
        if is_broken(config, knobs):
            raise KnobError(sentence.format(c=config, k=knobs))
