from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.engine.arrays import adapter_of, completions_of, sample_batch
from tests.engine.learners import make_learner, see_step, take_step, vector_of
from workbench.engine.critic import load_critic
from workbench.engine.policy import load_policy
from workbench.engine.ppo import CriticUpdates
from workbench.run.knobs import Knobs

KNOBS = Knobs(num_generations=4, max_completion_length=6, learning_rate=1e-2, num_iterations=2)


@pytest.fixture
def make_critic(make_config):
    """Return a critic whose values differ, and a batch for it to read."""

    def make(size=64, **settings):
        learner = make_learner(make_config(method="ppo", micro_batch_size=size, **settings), noise=0.2)
        return learner.critic, sample_batch(learner.policy, KNOBS)

    return make


def test_a_value_is_of_the_state_before_its_token(make_critic):
    critic, batch = make_critic()
    values = critic.expect(batch)
    assert values[batch.mask].std() > 0.1
    for t in range(batch.mask.shape[1]):
        ids = batch.completion_ids.clone()
        ids[:, t] = (ids[:, t] + 1) % 5 + 3
        other = critic.expect(replace(batch, completion_ids=ids))
        torch.testing.assert_close(other[:, : t + 1], values[:, : t + 1], rtol=0, atol=1e-5)
        is_later = batch.mask[:, t + 1 :]
        assert ((other[:, t + 1 :] != values[:, t + 1 :]) | ~is_later).all()


def test_the_first_values_are_0_and_so_are_those_of_padding(make_config, make_critic):
    config = make_config(method="ppo")
    policy = load_policy(config)
    batch = sample_batch(policy, KNOBS)
    assert (load_critic(config, policy).expect(batch) == 0).all()
    critic, batch = make_critic()
    assert (critic.expect(batch)[~batch.mask] == 0).all() and not batch.mask.all()


def test_the_critic_starts_as_the_policys_base_model_and_shares_no_weight_with_it(make_config):
    config = make_config(method="ppo")
    policy = load_policy(config)
    critic = load_critic(config, policy)
    batch = sample_batch(policy, KNOBS)
    ids, mask, positions = batch.sequences()
    inputs = {"input_ids": ids, "attention_mask": mask.long(), "position_ids": positions}
    with torch.no_grad(), policy.reference():
        base = policy.model(**inputs, output_hidden_states=True).hidden_states[-1]
        torch.testing.assert_close(critic.model(**inputs).last_hidden_state[mask], base[mask])
    owned = {weight.data_ptr() for weight in [*critic.model.parameters(), *critic.head.parameters()]}
    assert owned.isdisjoint(weight.data_ptr() for weight in policy.model.parameters())


@pytest.mark.parametrize("size", [1, 5])
def test_micro_batches_and_padding_change_neither_values_nor_gradient(make_critic, size):
    def learn(size):
        critic, batch = make_critic(size)
        critic = replace(critic, optimizer=torch.optim.SGD(critic.trainable, lr=1.0))
        old_values, before = critic.expect(batch), vector_of(critic.trainable)
        returns = torch.linspace(0, 1, batch.mask.numel()).view(batch.mask.shape)
        loss, _ = critic.learn(batch, batch.loss_mask, old_values, returns, cliprange_value=0.2, max_grad_norm=1e6)
        return old_values, loss, before - vector_of(critic.trainable)

    for part, whole in zip(learn(size), learn(64), strict=True):
        torch.testing.assert_close(part, whole, rtol=1e-3, atol=1e-5)
        assert whole.norm() > 0.01


def test_the_critic_learns_the_returns_it_is_taught(make_critic):
    critic, batch = make_critic(critic_learning_rate=1e-2)
    returns = (batch.completion_ids % 2).float().cumsum(1)
    losses = []
    for _ in range(60):
        old_values = critic.expect(batch)
        loss, _ = critic.learn(batch, batch.mask, old_values, returns, cliprange_value=10.0, max_grad_norm=1.0)
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_the_critics_updates_never_touch_the_policy_nor_the_policys_the_critic(make_config):
    def moved(critic_learning_rate, learning_rate):
        learner = make_learner(make_config(method="ppo", critic_learning_rate=critic_learning_rate), noise=0.1)
        models = [*learner.policy.model.parameters(), *learner.critic.model.parameters()]
        frozen = [weight for weight in models if not weight.requires_grad]
        before = adapter_of(learner.policy), vector_of(learner.critic.trainable), vector_of(frozen)
        record = take_step(learner, KNOBS.changed({"learning_rate": learning_rate}))
        after = adapter_of(learner.policy), vector_of(learner.critic.trainable), vector_of(frozen)
        assert all(p.grad is None for p in [*learner.policy.trainable, *learner.critic.trainable])
        return [not torch.equal(a, b) for a, b in zip(before, after, strict=True)], after, record

    assert moved(1e-2, 0.0)[0] == [False, True, False]
    assert moved(0.0, 1e-2)[0] == [True, False, False]
    both, (policy, critic, _), _ = moved(1e-2, 1e-2)
    assert both == [True, True, False]
    assert torch.equal(policy, moved(0.0, 1e-2)[1][0]), "in a step the policy is blind to what its critic learns"
    assert torch.equal(critic, moved(1e-2, 0.0)[1][1])


def test_a_gradient_that_is_not_finite_leaves_the_critic_as_it_was(make_critic):
    critic, batch = make_critic()
    before = vector_of(critic.trainable)
    returns = torch.full(batch.mask.shape, torch.nan)
    critic.learn(batch, batch.mask, critic.expect(batch), returns, cliprange_value=0.2, max_grad_norm=1.0)
    assert torch.equal(vector_of(critic.trainable), before)
    assert all(weight.grad is None for weight in critic.trainable)


def test_the_record_shows_the_values_before_the_step_and_how_good_they_were(make_config, monkeypatch):
    learner = make_learner(make_config(method="ppo"), noise=0.2)
    expected = see_step(make_learner(make_config(method="ppo"), noise=0.2), KNOBS, monkeypatch)
    record = take_step(learner, KNOBS)
    rows = zip(completions_of(record), expected.advantages.critic, expected.batch.mask, strict=True)
    for completion, values, mask in rows:
        assert (completion.values == values[mask].numpy()).all()
    own = expected.critic.scalars()
    assert {name: record.metrics[name] for name in own} == pytest.approx(own)
    mask = expected.batch.mask
    returns, values = expected.advantages.returns[mask].numpy(), expected.advantages.critic[mask].numpy()
    assert record.metrics["returns/mean"] == pytest.approx(returns.mean(), abs=1e-6)
    share = 1 - np.var(returns - values) / np.var(returns)
    assert record.metrics["explained_variance"] == pytest.approx(share, abs=1e-5)


def test_explained_variance_is_1_for_the_returns_themselves_and_0_for_their_mean():
    returns, mask = torch.tensor([[1.0, 2.0, 9.0]]), torch.tensor([[True, True, False]])

    def explained(values):
        return CriticUpdates(torch.zeros(1), torch.tensor([values]), returns, mask, 0).scalars()["explained_variance"]

    assert explained([1.0, 2.0, 0.0]) == 1 and explained([1.5, 1.5, 0.0]) == 0
    assert explained([2.0, 1.0, 0.0]) == pytest.approx(-3), "errors -1 and 1: four times the variance"


def test_a_step_without_a_reward_teaches_neither_policy_nor_critic_and_explains_nothing(make_config):
    learner = make_learner(make_config(method="ppo"), rewards=(None,), noise=0.1)
    before = adapter_of(learner.policy), vector_of(learner.critic.trainable)
    record = take_step(learner, KNOBS)
    assert torch.equal(adapter_of(learner.policy), before[0])
    assert torch.equal(vector_of(learner.critic.trainable), before[1])
    assert (record.metrics["value_loss"], record.metrics["explained_variance"]) == (0, None)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_any_causal_model_has_a_critic(make_config, any_folder, dtype):
    learner = make_learner(make_config(method="ppo", model=str(any_folder), dtype=dtype))
    for step in (1, 2):
        record = take_step(learner, KNOBS, step)
    assert abs(record.metrics["explained_variance"]) < 10 and record.metrics["value_loss"] > 0
    assert all(np.abs(completion.values).max() > 0 for completion in completions_of(record))
    assert all(weight.dtype == torch.float32 for weight in learner.critic.trainable)


def test_a_critic_folds_its_adapter_where_the_policy_does(make_config):
    folds = [
        make_learner(make_config(method="ppo", **settings)).critic.folds
        for settings in ({}, {"dtype": "bfloat16"}, {"plain_paths": ("folded_update",)})
    ]
    assert folds == [True, False, False], "in bfloat16 a small B·A would be rounded away"


def test_a_mixture_of_experts_has_a_critic(make_config, experts_folder):
    learner = make_learner(make_config(method="ppo", model=str(experts_folder)))
    assert take_step(learner, KNOBS).metrics["value_loss"] > 0
