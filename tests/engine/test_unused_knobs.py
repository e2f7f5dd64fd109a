"""The page says of a knob that it has no effect now: the numbers of a step must agree."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import product

import pytest
import torch

from workbench.engine.objective import loss_options
from workbench.errors import KnobError
from workbench.grpo import batch_weights, estimate_advantages, grpo_loss, kl_penalty, process_advantages
from workbench.run.knobs import Knobs, knob_specs

OTHER_VALUES = {
    "scale_rewards": "batch",
    "std_ddof": 0,
    "std_eps": 0.5,
    "pass_k": 2,
    "importance_sampling_level": "sequence",
    "epsilon": 0.05,
    "epsilon_high": 0.6,
    "delta": 1.7,
    "sapo_temperature_pos": 3.0,
    "sapo_temperature_neg": 3.0,
    "vespo_k_pos": 1.0,
    "vespo_lambda_pos": 1.0,
    "vespo_k_neg": 1.0,
    "vespo_lambda_neg": 1.0,
    "kl_in": "reward",
    "use_bias_correction_kl": True,
}
SIZE, LENGTH, GENERATIONS = 16, 6, 8
NOISE = torch.Generator().manual_seed(3)
OLD = -torch.rand(SIZE, LENGTH, generator=NOISE) * 2
NEW = OLD + 0.7 * torch.randn(SIZE, LENGTH, generator=NOISE)
REFERENCE = OLD + 0.3 * torch.randn(SIZE, LENGTH, generator=NOISE)
REWARDS = torch.rand(SIZE, 2, generator=NOISE)
MASK = torch.arange(LENGTH) < torch.tensor([6, 5, 6, 4, 6, 3, 6, 6] * 2)[:, None]


def advantages_of(knobs: Knobs) -> torch.Tensor:
    if knobs.supervision == "process":
        steps, ends = [[row[0], row[1]] for row in REWARDS.tolist()], [[0, 2]] * SIZE
        found = process_advantages(steps, ends, GENERATIONS, LENGTH, std_ddof=knobs.std_ddof, std_eps=knobs.std_eps)
        return found.advantages
    penalty = None
    if knobs.kl_in == "reward" and knobs.beta > 0:
        penalty = knobs.beta * kl_penalty(OLD, REFERENCE, MASK, kl_estimator=knobs.kl_estimator)
    return estimate_advantages(
        REWARDS,
        torch.tensor([1.0, 0.5]),
        GENERATIONS,
        advantage_estimator=knobs.advantage_estimator,
        scale_rewards=knobs.scale_rewards,
        std_ddof=knobs.std_ddof,
        std_eps=knobs.std_eps,
        pass_k=knobs.pass_k,
        penalty=penalty,
    )


def pushes_of(knobs: Knobs) -> torch.Tensor:
    """Return the gradient of the loss on the log-probabilities, the loss, and each token's KL."""
    logps = NEW.clone().requires_grad_()
    advantages, options = advantages_of(knobs), loss_options(knobs)
    weights = batch_weights(knobs.loss_type, MASK, max_completion_length=knobs.max_completion_length)
    terms = grpo_loss(logps, OLD, REFERENCE, advantages, MASK, weights=weights, entropies=-OLD, **options)
    terms.loss.backward()
    assert logps.grad is not None
    return torch.cat([logps.grad.flatten(), terms.loss.detach()[None], terms.kl.flatten()])


def settings() -> Iterator[Knobs]:
    """Yield knobs of every loss type with every place of the KL, and of every way to an advantage."""
    choices = {name: spec.choices or () for name, spec in knob_specs().items()}
    for loss_type, (beta, kl_in) in product(choices["loss_type"], ((0.0, "loss"), (0.3, "loss"), (0.3, "reward"))):
        yield Knobs(loss_type=loss_type, epsilon_high=1.5 if loss_type == "cispo" else 0.28, beta=beta, kl_in=kl_in)
    names = ("advantage_estimator", "scale_rewards", "supervision")
    for values in product(*(choices[name] for name in names)):
        try:
            yield Knobs(**dict(zip(names, values, strict=True)))
        except KnobError:
            continue


def is_pushed_alike(knobs: Knobs, name: str) -> bool | None:
    """Return whether another value of a knob gives the same gradient and loss; None where it is refused."""
    try:
        return torch.equal(pushes_of(knobs), pushes_of(knobs.changed({name: OTHER_VALUES[name]})))
    except KnobError:
        return None


@pytest.mark.parametrize("name", [spec.name for spec in knob_specs().values() if spec.used_when])
def test_a_knob_that_the_page_calls_without_effect_has_none_and_every_other_has_one(name):
    spec = knob_specs()[name]
    unused = [knobs for knobs in settings() if not spec.is_used(asdict(knobs))]
    assert unused and False not in {is_pushed_alike(knobs, name) for knobs in unused}
    for condition in spec.used_when:
        used = [knobs for knobs in settings() if replace(spec, used_when=(condition,)).is_used(asdict(knobs))]
        assert False in {is_pushed_alike(knobs, name) for knobs in used}, condition
