"""How a step was computed: which fast paths it took, and the least time that the machine needs for it."""

from collections.abc import Mapping

from workbench.engine.lean.replayed import is_replayed
from workbench.engine.learner import Learner
from workbench.engine.limits import step_limits
from workbench.engine.objective import WithoutRatio
from workbench.engine.stepdata import StepData
from workbench.run.fastpaths import FAST_PATHS


def fast_paths_of(data: StepData, learner: Learner) -> tuple[str, ...]:
    """Return the names of those that were in use, in the table's order: allowed, and of use in this step."""
    policy = learner.policy
    is_lean = "lean_model" in policy.fast_paths
    is_useless = {
        "merged_rollout": not _is_sampled(learner),
        "shared_prefill": not _is_sampled(learner),
        "row_compaction": not _is_sampled(learner) or is_replayed(policy),
        "shared_prompt": not is_lean,
        "parallel_parts": policy.num_workers == 1,
        "folded_update": not (is_lean or policy.is_tiny),
        "no_old_pass": isinstance(data.objective, WithoutRatio),
        "length_sorted": is_lean,
        "compiled_decode": not _is_sampled(learner),
        "compiled_pass": not data.updates.is_compiled,
        "cuda_graphs": not _is_sampled(learner) or not is_replayed(policy),
    }
    return tuple(name for name in FAST_PATHS if name in policy.fast_paths and not is_useless.get(name, False))


def limits_of(data: StepData, learner: Learner) -> Mapping[str, float]:
    """Return the least seconds of each stage of a step whose tensors are on the CPU; nothing without a yardstick.

    What dynamic sampling threw away was sampled too: it counts by its tokens.
    """
    if learner.yardstick is None:
        return {}
    samples = data.samples
    lengths = samples.rollout.lengths
    limits = step_limits(
        learner.yardstick,
        samples.prompts.mask.sum(1),
        lengths,
        num_updates=len(data.updates.inner),
        num_reference_passes=int(data.reference.logps is not None),
        is_sampled=_is_sampled(learner),
    )
    return {**limits, "sample": limits["sample"] * samples.num_written / int(lengths.sum())}


def _is_sampled(learner: Learner) -> bool:
    """Return whether the policy, or its reference, wrote the completions: SFT's were given."""
    return learner.config.method != "sft"
