"""PPO beside GRPO: a token's advantage over what a critic expected of it, and the critic's own learning."""

from collections.abc import Generator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from workbench.engine.advantages import Advantages, Reference
from workbench.engine.batch import TokenBatch
from workbench.engine.collect import Samples
from workbench.engine.learner import Learner
from workbench.grpo import generalised_advantages, terminal_rewards, token_kl, whiten
from workbench.run.knobs import Knobs
from workbench.run.record import Progress


@dataclass(frozen=True, eq=False)
class CriticUpdates:
    """What a step taught the critic."""

    losses: Float[Tensor, " U"]  # before each of its updates
    old_values: Float[Tensor, "B T"]
    returns: Float[Tensor, "B T"]
    mask: Bool[Tensor, "B T"]  # the tokens it learned from
    gradient_bytes: int

    def scalars(self) -> dict[str, float]:
        r"""Return the step's `value_loss`, `returns/mean` and `explained_variance`.

        The last is $1 - \mathrm{Var}(R - V) / \mathrm{Var}(R)$ of the values before the step: 1 for a critic that knows
        every return, 0 for one that says the same everywhere; NaN where all returns are equal.
        """
        returns, errors = self.returns[self.mask], (self.returns - self.old_values)[self.mask]
        unexplained = _variance(errors) / _variance(returns)
        return {
            "value_loss": self.losses.mean().item(),
            "explained_variance": 1 - unexplained.item(),
            "returns/mean": returns.mean().item(),
        }


def _variance(values: Float[Tensor, " N"]) -> Float[Tensor, ""]:
    """Return the mean squared distance from the mean; NaN of nothing."""
    return (values - values.mean()).square().mean()


def critic_advantages(
    samples: Samples, batch: TokenBatch, reference: Reference, learner: Learner, knobs: Knobs
) -> Advantages:
    """Return generalised advantages, whitened over the tokens that are learned from; 0 where a reward is missing.

    The reward comes at the last token. With the KL in the reward, β·KL is taken off at every token.
    Source: InstructGPT, https://arxiv.org/abs/2203.02155
    """
    assert learner.critic is not None, "a run of PPO has a critic"
    values = learner.critic.expect(batch)
    rewards = terminal_rewards(samples.judgement.totals.float(), batch.mask)
    if knobs.kl_in == "reward" and knobs.beta > 0:
        assert reference.logps is not None, "beta > 0 scores the reference"
        kl = token_kl(samples.rollout.logps, reference.logps, batch.mask, knobs.kl_estimator, reference.exact_kl)
        rewards = rewards - knobs.beta * kl
    config = learner.config
    advantages, returns = generalised_advantages(
        rewards, values, batch.mask, gamma=config.gamma, gae_lambda=config.gae_lambda
    )
    return Advantages(whiten(advantages, _learned_from(samples, batch)), critic=values, returns=returns)


def teach_critic(
    step: int, learner: Learner, samples: Samples, batch: TokenBatch, advantages: Advantages, knobs: Knobs
) -> Generator[Progress, None, CriticUpdates | None]:
    """Move the critic μ times towards the step's returns, yielding after each time; do nothing without a critic."""
    if learner.critic is None:
        return None
    assert advantages.critic is not None and advantages.returns is not None, "they are the critic's"
    mask = _learned_from(samples, batch)
    losses, gradient_bytes = [], 0
    for k in range(knobs.num_iterations):
        loss, gradient_bytes = learner.critic.learn(
            batch,
            mask,
            advantages.critic,
            advantages.returns,
            cliprange_value=learner.config.cliprange_value,
            max_grad_norm=learner.config.max_grad_norm,
        )
        losses.append(loss)
        yield Progress(step, "update", k + 1, knobs.num_iterations)
    return CriticUpdates(torch.stack(losses), advantages.critic, advantages.returns, mask, gradient_bytes)


def _learned_from(samples: Samples, batch: TokenBatch) -> Bool[Tensor, "B T"]:
    """Return the tokens that count: not those of completions that no reward function could score."""
    return batch.loss_mask & ~samples.judgement.totals.isnan().to(batch.loss_mask.device)[:, None]
