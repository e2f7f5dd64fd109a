"""From judged groups to advantages: the estimators' inputs, the KL in the reward, and process supervision by token."""

import numpy as np
import pytest
import torch

from tests.engine.arrays import completions_of, run_steps
from workbench.grpo import estimate_advantages
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs

TINY = RunConfig(model="tiny", task="addition", prompts_per_step=3, max_steps=3, device="cpu", seed=1)
KNOBS = Knobs(num_generations=4, max_completion_length=48, learning_rate=1e-3, beta=0.5)


@pytest.mark.parametrize("estimator", ["grpo", "rloo", "reinforce_plus_plus", "gdpo", "pass_at_k", "rank"])
def test_the_advantages_of_a_record_are_the_formulas_of_its_rewards(estimator):
    knobs = KNOBS.changed({"advantage_estimator": estimator, "pass_k": 2, "std_ddof": 0, "std_eps": 1e-3})
    [record] = run_steps(TINY, knobs, 1)
    rewards = torch.tensor([list(c.rewards.values()) for c in completions_of(record)])
    weights = torch.tensor(list(record.reward_weights.values()))
    expected = estimate_advantages(
        rewards, weights, 4, advantage_estimator=estimator, pass_k=2, std_ddof=0, std_eps=1e-3
    )
    assert [c.advantage for c in completions_of(record)] == pytest.approx(expected.tolist(), abs=1e-6)
    assert all((c.token_advantages == np.float32(c.advantage)).all() for c in completions_of(record))


def test_rewards_of_equal_sums_give_no_advantage_whatever_they_are_the_sums_of():
    """2/3 has no exact float: rounded to float32, 0.9 · 2/3 and 0.6 · 1 would differ, and a std of 1e-8 divide them."""

    def third(completions, **columns):
        return [2 / 3 * (i % 2) for i in range(len(completions))]

    def whole(completions, **columns):
        return [1.0 - i % 2 for i in range(len(completions))]

    config = TINY.__class__(**{**TINY.as_dict(), "reward_weights": (0.9, 0.6)})
    knobs = KNOBS.changed({"std_eps": 0.0})
    [record] = run_steps(config, knobs, 1, reward_funcs=[third, whole])
    assert all(group.is_dead for group in record.groups)
    assert all(c.advantage == 0 for c in completions_of(record))


def test_the_share_of_dead_groups_of_gdpo_is_of_the_sums_that_it_normalises():
    """Two groups with rewards 1, 1 and 0, 0: the batch differs, but no advantage is made of that."""

    def by_prompt(prompts, **columns):
        first = prompts[0]
        return [float(prompt == first) for prompt in prompts]

    config = TINY.__class__(**{**TINY.as_dict(), "prompts_per_step": 2})
    [record] = run_steps(config, KNOBS.changed({"advantage_estimator": "gdpo"}), 1, reward_funcs=[by_prompt])
    assert record.metrics["reward_std"] > 0.4 and record.metrics["frac_reward_zero_std"] == 1
    assert all(c.advantage == 0 for c in completions_of(record))


@pytest.mark.parametrize("estimator", ["k1", "k3", "exact"])
def test_a_kl_in_the_reward_is_taken_off_before_the_advantage_and_is_not_in_the_loss(estimator):
    knobs = KNOBS.changed({"kl_in": "reward", "kl_estimator": estimator, "scale_rewards": "none"})
    record = run_steps(TINY, knobs)[-1]
    penalties = []
    for group in record.groups:
        kl = np.array([_kl(c, estimator).sum() for c in group.completions])
        shaped = np.array([c.reward for c in group.completions]) - 0.5 * kl
        penalties.extend(0.5 * kl)
        if estimator != "exact":
            advantages = [c.advantage for c in group.completions]
            np.testing.assert_allclose(advantages, shaped - shaped.mean(), atol=2e-4)
    assert max(np.abs(penalties)) > 0.01, "the policy has moved, or this proves nothing"
    assert all(part["kl"] == 0 for group in record.groups for part in group.budget)


def _kl(completion, estimator):
    d = completion.ref_logps - completion.sampled_logps
    return -d if estimator == "k1" else np.expm1(d) - d


def test_an_exact_kl_in_the_reward_differs_from_its_estimate_only_by_noise():
    """Given the same samples: the two advantages are close, and not the same."""
    by_estimator = []
    for estimator in ("k3", "exact"):
        knobs = KNOBS.changed({"kl_in": "reward", "kl_estimator": estimator, "scale_rewards": "none"})
        first, second = run_steps(TINY.__class__(**{**TINY.as_dict(), "max_steps": 2}), knobs)
        by_estimator.append(np.array([c.advantage for c in completions_of(second)]))
        assert [c.advantage for c in completions_of(first)] == pytest.approx(
            [c.reward - g.mean for g in first.groups for c in g.completions], abs=1e-4
        ), "at the first step the reference is the policy"
    assert 0 < np.abs(by_estimator[0] - by_estimator[1]).max() < 0.2


def test_with_process_supervision_a_token_answers_for_the_steps_that_end_at_or_after_it():
    [record] = run_steps(TINY, KNOBS.changed({"supervision": "process"}), 1)
    for group in record.groups:
        all_rewards = np.array([step.reward for c in group.completions for step in c.steps])
        scale = all_rewards.std(ddof=1) + 1e-4 if all_rewards.std() > 0 else 1.0
        for c in group.completions:
            assert c.steps and all(step.reason for step in c.steps)
            expected = np.zeros(len(c.token_ids))
            for step in c.steps:
                z = (step.reward - all_rewards.mean()) / scale
                assert step.normalised == pytest.approx(z, abs=1e-4)
                expected[: step.end] += z
            np.testing.assert_allclose(c.token_advantages, expected, atol=1e-3)
            assert c.advantage == pytest.approx(c.token_advantages.mean(), abs=1e-5)


def test_a_step_ends_with_the_token_that_writes_its_last_character():
    [record] = run_steps(TINY, KNOBS.changed({"supervision": "process"}), 1)
    for c in completions_of(record):
        assert c.steps[-1].end == len(c.token_ids), "the last step answers for the end of the text too"
        for step in c.steps[:-1]:
            written = "".join(c.tokens[: step.end])
            assert "=" in written and written[-1].isdigit()


def test_outcome_supervision_has_no_steps():
    [record] = run_steps(TINY, KNOBS, 1)
    assert all(c.steps == () for c in completions_of(record))
