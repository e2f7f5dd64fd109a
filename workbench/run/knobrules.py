"""Which knobs cannot go together, each with the sentence that says why."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from workbench.errors import KnobError

if TYPE_CHECKING:
    from workbench.run.knobs import Knobs

CLIPPED_LOSSES = ("grpo", "bnpo", "dr_grpo", "dapo", "luspo")

# Each rule: whether it is broken, and the sentence. The sentence may name the knobs' values.
_RULES: tuple[tuple[Callable[["Knobs"], bool], str], ...] = (
    (
        lambda k: k.delta is not None and k.loss_type not in CLIPPED_LOSSES,
        "delta={delta} caps the clipped ratio, and loss_type={loss_type!r} does not clip: set delta to none",
    ),
    (
        lambda k: k.loss_type == "cispo" and k.epsilon_high is None,
        "loss_type='cispo' caps the ratio at epsilon_high itself, not at 1 + epsilon_high: give it one (the paper: 5)",
    ),
    (
        lambda k: k.loss_type == "vespo" and k.importance_sampling_level == "sequence",
        "loss_type='vespo' weighs each sequence by itself: importance_sampling_level must be 'token'",
    ),
    (
        lambda k: k.loss_type == "online" and k.importance_sampling_level == "sequence",
        "loss_type='online' has no ratio to the sampling policy: importance_sampling_level must be 'token'",
    ),
    (
        lambda k: k.importance_sampling_level == "sequence" and k.top_entropy_quantile < 1,
        "top_entropy_quantile={top_entropy_quantile} chooses single tokens, and importance_sampling_level='sequence' "
        "gives a completion one ratio: they cannot go together",
    ),
    (
        lambda k: k.importance_sampling_level == "sequence" and k.supervision == "process",
        "supervision='process' gives every token its own advantage, and importance_sampling_level='sequence' gives a "
        "completion one ratio: they cannot go together",
    ),
    (
        lambda k: k.supervision == "process" and k.advantage_estimator != "grpo",
        "supervision='process' normalises the rewards of the steps itself: advantage_estimator must be 'grpo'",
    ),
    (
        lambda k: k.supervision == "process" and k.scale_rewards != "group",
        "supervision='process' normalises the rewards of the steps in their group: scale_rewards must be 'group'",
    ),
    (
        lambda k: k.supervision == "process" and k.kl_in == "reward",
        "kl_in='reward' takes the KL off the completion's reward, and supervision='process' rewards steps: "
        "they cannot go together",
    ),
    (
        lambda k: k.advantage_estimator == "gdpo" and k.kl_in == "reward",
        "kl_in='reward' takes the KL off the sum of the rewards, and advantage_estimator='gdpo' normalises each reward "
        "function by itself: they cannot go together",
    ),
    (
        lambda k: k.advantage_estimator == "gdpo" and k.scale_rewards != "group",
        "advantage_estimator='gdpo' normalises each reward function in its group: scale_rewards must be 'group'",
    ),
    (
        lambda k: (
            k.max_num_gen_batches > 1
            and (k.supervision == "process" or k.advantage_estimator == "gdpo" or (k.kl_in == "reward" and k.beta > 0))
        ),
        "max_num_gen_batches={max_num_gen_batches} throws away groups whose rewards are all equal, and "
        "supervision='process', advantage_estimator='gdpo' and kl_in='reward' learn from them all the same: "
        "they cannot go together",
    ),
    (
        lambda k: k.advantage_estimator == "pass_at_k" and k.pass_k > k.num_generations,
        "pass_k={pass_k} completions cannot be chosen from a group of num_generations={num_generations}",
    ),
    (
        lambda k: k.kl_estimator == "exact" and (k.top_k > 0 or k.top_p < 1),
        "kl_estimator='exact' sums over the whole vocabulary, and top_k={top_k}, top_p={top_p} sample from a part of "
        "it: they cannot go together",
    ),
    (
        lambda k: k.kl_estimator == "exact" and k.use_bias_correction_kl,
        "use_bias_correction_kl reweighs the sampled token, and kl_estimator='exact' samples none: choose one",
    ),
    (
        lambda k: k.kl_in == "reward" and k.use_bias_correction_kl,
        "use_bias_correction_kl corrects the KL in the loss, and kl_in='reward' takes it out of there: "
        "turn one of them off",
    ),
)


def check_knobs(knobs: "Knobs") -> None:
    """Raise KnobError, with the sentence that says why, if two of the knobs cannot go together."""
    for is_broken, sentence in _RULES:
        if is_broken(knobs):
            raise KnobError(sentence.format(**vars(knobs)))
