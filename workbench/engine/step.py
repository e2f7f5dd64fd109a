"""One step: the path of the data, one line a stage.

`prompt -> group sample -> reward -> reference -> advantage -> μ × (log-probs, ratio, KL, loss, update) -> record`
"""

from collections.abc import Callable, Generator

from jaxtyping import Float
from torch import Tensor

from workbench.engine.advantages import Reference
from workbench.engine.batch import TokenBatch
from workbench.engine.bugs import HOOKS
from workbench.engine.clock import Clock
from workbench.engine.learner import Learner
from workbench.engine.measure import measuring
from workbench.engine.memory import forget_peak, memory_of
from workbench.engine.methods import METHOD_STAGES
from workbench.engine.ppo import teach_critic
from workbench.engine.scoring import score_exact_kl, score_policy, score_reference
from workbench.engine.stepdata import StepData
from workbench.engine.update import update_policy
from workbench.run.knobs import Knobs
from workbench.run.record import Progress, StepRecord

MakeRecord = Callable[[], StepRecord]


def train_step(step: int, learner: Learner, knobs: Knobs, clock: Clock) -> Generator[Progress, None, MakeRecord]:
    """Sample a group for each prompt and move the policy μ times, yielding progress; return what makes the record.

    A method differs from GRPO in the completions, in what makes them count, and in the loss: see `methods.py`.
    """
    method, bug = METHOD_STAGES[learner.config.method], HOOKS[learner.config.bug]
    forget_peak(learner.policy.device)
    knobs = bug.knobs(knobs)
    samples = yield from method.collect(step, learner, knobs, clock)
    learner = bug.scoring(learner)
    batch = TokenBatch.of(samples.prompts, samples.rollout, samples.num_generations, samples.temperature)
    batch = bug.batch(batch, learner.policy.eos_ids)
    if knobs.mask_truncated_completions:
        batch = batch.without(samples.rollout.is_truncated)

    yield Progress(step, "score")
    reference = score_with_reference(learner, batch, knobs)
    clock.lap("score")

    yield Progress(step, "advantage")
    advantages = method.estimate(bug.compared(samples), batch, reference, learner, knobs)
    objective = bug.objective(method.objective(samples, batch, reference, advantages, knobs))

    updates = yield from update_policy(
        learner.policy,
        learner.optimizer,
        batch,
        objective,
        knobs,
        step=step,
        micro_batch_size=learner.config.micro_batch_size,
        max_grad_norm=learner.config.max_grad_norm,
        old_logps=bug.old_logps(own_old_logps(learner, batch), reference),
    )
    critic = yield from teach_critic(step, learner, samples, batch, advantages, knobs)
    clock.lap("update")

    yield Progress(step, "record")
    memory = memory_of(learner, updates, critic)
    data = StepData(step, knobs, samples, batch, reference, advantages, objective, updates, critic, memory)
    return measuring(data, learner)


def score_with_reference(learner: Learner, batch: TokenBatch, knobs: Knobs) -> Reference:
    """Return what the reference says of the completions, where the loss, the reward or the page needs it."""
    if knobs.beta == 0 and not learner.config.score_reference:
        return Reference(None)
    size = learner.config.micro_batch_size
    needs_exact = knobs.beta > 0 and knobs.kl_estimator == "exact" and knobs.kl_in == "reward"
    exact_kl = score_exact_kl(learner.policy, batch, size) if needs_exact else None
    return Reference(score_reference(learner.policy, batch, size), exact_kl)


def own_old_logps(learner: Learner, batch: TokenBatch) -> Float[Tensor, "B T"] | None:
    """Return what the policy says of its completions, or None where the first update's own pass will tell."""
    policy = learner.policy
    return None if "no_old_pass" in policy.fast_paths else score_policy(policy, batch, learner.config.micro_batch_size)
