import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.grpo import (
    METHODS,
    dpo_loss,
    generalised_advantages,
    grpo_loss,
    likelihood_loss,
    method_coefficient,
    preference_pairs,
    terminal_rewards,
    token_weights,
    whiten,
)
from workbench.run import config

LOSSES = {
    "sft": likelihood_loss,
    "rft": likelihood_loss,
    "online_rft": likelihood_loss,
    "dpo": dpo_loss,
    "ppo": grpo_loss,
    "grpo": grpo_loss,
}


def inputs_of(method, batch):
    """Return what the method's loss takes, made as the method makes it from the same rows and rewards."""
    rewards = torch.arange(len(batch.mask), dtype=torch.float64) % 2
    logps = {"logps": batch.logps, "mask": batch.mask}
    if method in ("sft", "rft", "online_rft"):
        kept = torch.ones_like(rewards).bool() if method == "sft" else rewards > 0
        return {**logps, "kept": kept, "weights": token_weights("grpo", batch.mask).to(torch.float64)}
    if method == "dpo":
        even = len(rewards) - len(rewards) % 2
        pairs = preference_pairs(rewards[:even], 2)
        return {**logps, "ref_logps": batch.ref_logps, "pairs": pairs, "beta": 0.3}
    policy = {**logps, "old_logps": batch.old_logps, "ref_logps": batch.ref_logps, "loss_type": "dapo", "beta": 0.1}
    if method == "grpo":
        return {**policy, "advantages": rewards - 0.5, "epsilon_high": 0.28}
    values = batch.logps.abs()
    advantages, _ = generalised_advantages(terminal_rewards(rewards, batch.mask), values, batch.mask)
    return {**policy, "advantages": whiten(advantages, batch.mask)}


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=25)
@given(data=st.data())
def test_the_coefficient_of_every_method_is_minus_the_gradient_of_its_loss(batches, data, method):
    inputs = inputs_of(method, data.draw(batches(max_log_ratio=3.0)))
    logps = inputs["logps"].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(LOSSES[method](**{**inputs, "logps": logps}).loss, logps)
    coefficient = method_coefficient(method, **{**inputs, "logps": logps})
    torch.testing.assert_close(coefficient, -gradient, atol=1e-9, rtol=1e-9)
    assert not coefficient.requires_grad


@given(data=st.data())
def test_on_policy_online_rft_is_grpo_with_the_advantage_one_for_right_and_zero_for_wrong(batches, data):
    batch = data.draw(batches())
    inputs = inputs_of("online_rft", batch)
    advantages = inputs["kept"].to(torch.float64)
    likelihood = method_coefficient("online_rft", **inputs)
    on_policy = {"logps": batch.logps, "old_logps": batch.logps, "ref_logps": None, "mask": batch.mask}
    torch.testing.assert_close(method_coefficient("grpo", advantages=advantages, **on_policy), likelihood)


@given(data=st.data())
def test_ppo_with_a_critic_that_expects_the_mean_of_the_group_is_grpo_without_the_std(batches, data):
    batch = data.draw(batches())
    mask = torch.ones_like(batch.mask)
    rewards = torch.arange(len(mask), dtype=torch.float64)
    values = rewards.mean().expand(mask.shape)
    by_token, _ = generalised_advantages(terminal_rewards(rewards, mask), values, mask, gae_lambda=1.0)
    policy = {"logps": batch.logps, "old_logps": batch.old_logps, "ref_logps": None, "mask": mask}
    torch.testing.assert_close(
        method_coefficient("ppo", advantages=by_token, **policy),
        method_coefficient("grpo", advantages=rewards - rewards.mean(), **policy),
    )


def test_there_is_a_coefficient_for_every_method_that_a_run_can_take():
    assert set(METHODS) == set(config.METHODS)


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="method='reinforce' is none of sft, rft"):
        method_coefficient("reinforce")
