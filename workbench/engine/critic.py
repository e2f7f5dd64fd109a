"""PPO's critic: a model of its own that says, before each token, what rewards it expects from there on."""

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from transformers import AutoModel

from workbench.engine.batch import TokenBatch
from workbench.engine.loading import load
from workbench.engine.lora import forward_folded, with_adapter_beside
from workbench.engine.policy import Policy
from workbench.engine.storage import gradients_of, num_bytes
from workbench.grpo import value_loss
from workbench.models.location import model_location
from workbench.run.config import RunConfig


@dataclass(frozen=True, eq=False)
class Critic:
    """A copy of the policy's base model with an adapter and a head of one number, and what trains the two.

    The head starts as zero, so the first values are 0 and the first advantages are those of the rewards alone.
    Source: InstructGPT, https://arxiv.org/abs/2203.02155
    """

    model: Any
    head: torch.nn.Linear
    optimizer: torch.optim.Optimizer
    autocast: Callable[[], AbstractContextManager]
    inputs: frozenset[str]  # the names of what the model's forward takes
    folds: bool  # as the policy does, see `Policy.folds`
    micro_batch_size: int

    @property
    def trainable(self) -> list[Tensor]:
        return [*(p for p in self.model.parameters() if p.requires_grad), *self.head.parameters()]

    def values(self, batch: TokenBatch) -> Float[Tensor, "B T"]:
        """Return what is expected before each completion token is written, with gradient. Padding holds anything."""
        ids, mask, positions = batch.sequences()
        given = {"input_ids": ids, "attention_mask": mask.long(), "position_ids": positions, "use_cache": False}
        taken = {name: value for name, value in given.items() if name in self.inputs}
        with self.autocast():
            output = forward_folded(self.model, taken) if self.folds else self.model(**taken)
        before = slice(-batch.completion_ids.shape[1] - 1, -1)
        return self.head(output.last_hidden_state[:, before].float())[..., 0]

    @torch.no_grad()
    def expect(self, batch: TokenBatch) -> Float[Tensor, "B T"]:
        """Return the values of the whole batch, without gradient; 0 on padding."""
        expected = torch.zeros(batch.mask.shape, device=batch.mask.device)
        for rows, micro in batch.micro_batches(self.micro_batch_size):
            expected[rows, : micro.mask.shape[1]] = self.values(micro).masked_fill(~micro.mask, 0.0)
        return expected

    def learn(
        self,
        batch: TokenBatch,
        mask: Bool[Tensor, "B T"],
        old_values: Float[Tensor, "B T"],
        returns: Float[Tensor, "B T"],
        *,
        cliprange_value: float,
        max_grad_norm: float,
    ) -> tuple[Float[Tensor, ""], int]:
        """Lower the value loss on the tokens of `mask` by one step; return the loss before it and the gradient's bytes.

        As for the policy, a gradient that is not finite is left out.
        """
        loss = torch.zeros((), device=batch.mask.device)
        num_tokens = mask.sum().clamp(min=1).float()
        for rows, micro in batch.micro_batches(self.micro_batch_size):
            part = slice(micro.mask.shape[1])
            share = value_loss(
                self.values(micro),
                old_values[rows, part],
                returns[rows, part],
                mask[rows, part],
                cliprange_value,
                num_tokens_of_batch=num_tokens,
            )
            share.backward()
            loss += share.detach()
        if torch.nn.utils.clip_grad_norm_(self.trainable, max_grad_norm).isfinite():
            self.optimizer.step()
        gradient_bytes = num_bytes(gradients_of(self.trainable))
        self.optimizer.zero_grad(set_to_none=True)
        return loss, gradient_bytes


def load_critic(config: RunConfig, policy: Policy) -> Critic:
    """Return an untrained critic; raise ConfigError if the policy's kind of model cannot be loaded without its head."""
    base = load(
        f"method='ppo' needs a critic, and model={config.model!r}",
        AutoModel.from_pretrained,
        model_location(config.model),
        dtype=policy.dtype,
    ).to(policy.device)
    with torch.random.fork_rng(devices=[policy.device] if policy.device.type == "cuda" else []):
        torch.manual_seed(config.seed)
        model = with_adapter_beside(base, config)
        head = torch.nn.Linear(base.config.get_text_config().hidden_size, 1, device=policy.device)
    model.eval()
    for weight in head.parameters():
        torch.nn.init.zeros_(weight)
    trained = [*(p for p in model.parameters() if p.requires_grad), *head.parameters()]
    return Critic(
        model=model,
        head=head,
        optimizer=torch.optim.AdamW(trained, lr=config.critic_learning_rate, weight_decay=0.0, fused=True),
        autocast=policy.autocast,
        inputs=frozenset(inspect.signature(base.forward).parameters),
        folds=policy.folds,
        micro_batch_size=config.micro_batch_size,
    )
