"""The physical limit of a step: the arithmetic and the memory traffic that no implementation can do without.

A matrix product with N weights costs 2·N floating-point operations (FLOPs) a token, and its gradient towards its input
as many; the base weights are frozen, so there is no third product for them. What is counted is what must be computed:
a prompt once a group, no padding, no pass for the old log-probabilities. Norms, rotations, activations and the softmax
are left out: they are under a hundredth of the products.
Source of the formulas: Kaplan et al. 2020, https://arxiv.org/abs/2001.08361 (2·N a token, 4·N backward with a weight
gradient), and for decoding Pope et al. 2022, https://arxiv.org/abs/2211.05102 (weights and cache are read every token).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from workbench.engine.lora import ADAPTER, lora_layers
from workbench.engine.machine import Machine, measure_machine
from workbench.engine.policy import Policy


@dataclass(frozen=True, kw_only=True)
class ModelCost:
    """What a model's parts cost. Weights are counted, attention is in FLOPs, the rest in bytes."""

    trunk: int  # weights of the linear layers, without the head
    head: int
    adapter: int  # of A and B
    folding: int  # Σ r·N over the adapted layers: half the FLOPs of B·A
    attention: int  # FLOPs for a query to look at one key, in all layers: 4·L·n_heads·d_head
    weight_bytes: int  # of trunk and head
    cache_bytes: int  # of one token's keys and values in all layers: 2·L·n_kv·d_head numbers

    @classmethod
    def of(cls, model: Any) -> "ModelCost":
        """Return the cost of a PEFT model with an adapter beside all its linear layers."""
        layers = lora_layers(model).values()
        bases = [layer.get_base_layer().weight for layer in layers]
        factors = [(layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight) for layer in layers]
        head = model.get_output_embeddings().weight
        config = model.config.get_text_config()
        heads = config.num_attention_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // heads
        kv_heads = getattr(config, "num_key_value_heads", None) or heads
        depth = config.num_hidden_layers
        return cls(
            trunk=sum(weight.numel() for weight in bases),
            head=head.numel(),
            adapter=sum(a.numel() + b.numel() for a, b in factors),
            folding=sum(a.shape[0] * weight.numel() for (a, _), weight in zip(factors, bases, strict=True)),
            attention=4 * depth * heads * width,
            weight_bytes=sum(weight.numel() * weight.element_size() for weight in [*bases, head]),
            cache_bytes=2 * depth * kv_heads * width * head.element_size(),
        )


@dataclass(frozen=True)
class Reading:
    """What is read in one pass: tokens through the trunk, tokens predicted by the head, and (query, key) pairs."""

    tokens: int
    predicted: int
    pairs: int

    @classmethod
    def of(cls, prompts: Int[Tensor, " P"], completions: Int[Tensor, " B"]) -> "Reading":
        """Return what prompts and completions of these lengths need, a prompt read once for all its completions.

        The last token of a completion is predicted but never read.
        """
        read = (completions - 1).clamp(min=0)
        before = prompts.repeat_interleave(len(completions) // len(prompts))
        pairs = (prompts * (prompts + 1) // 2).sum() + (read * before + read * (read + 1) // 2).sum()
        return cls(int(prompts.sum() + read.sum()), int(completions.sum()), int(pairs))


def forward_flops(cost: ModelCost, reading: Reading, *, has_adapter: bool = True) -> int:
    """Return the FLOPs of one forward pass: 2·N a token, 4·d a pair and layer, and the adapter the cheaper way.

    The adapter costs 2·(|A| + |B|) a token beside the weights, or 2·r·N once to be folded into them.
    """
    products = 2 * cost.trunk * reading.tokens + 2 * cost.head * reading.predicted + cost.attention * reading.pairs
    return products + (_adapter_flops(cost, reading) if has_adapter else 0)


def update_flops(cost: ModelCost, reading: Reading) -> int:
    """Return the FLOPs of a forward and a backward pass that trains the adapter alone.

    Backward: 2·N a token towards the input, 8·d a pair and layer, and 4·(|A| + |B|) a token for the gradients of A and
    B and what they are made of; the adapter's own way to the input again the cheaper way.
    """
    backward = 2 * cost.trunk * reading.tokens + 2 * cost.head * reading.predicted + 2 * cost.attention * reading.pairs
    of_adapter = 4 * cost.adapter * reading.tokens
    return forward_flops(cost, reading) + backward + of_adapter


def decode_seconds(
    cost: ModelCost, prompts: Int[Tensor, " P"], completions: Int[Tensor, " B"], machine: Machine
) -> float:
    """Return the least seconds to sample completions of these lengths: each token waits for the one before.

    The prompts are read first. Then a token step reads all weights and every row's cache once, and multiplies one token
    of every row that goes on: whichever takes longer.
    """
    before = prompts.repeat_interleave(len(completions) // len(prompts)).double()
    prefill = Reading(int(prompts.sum()), len(prompts), int((prompts * (prompts + 1) // 2).sum()))
    adapter = _adapter_flops(cost, Reading.of(prompts, completions))
    seconds = _seconds(machine, forward_flops(cost, prefill, has_adapter=False) + adapter, cost.weight_bytes)
    steps = torch.arange(1, int(completions.amax()))
    goes_on = (completions[None, :] > steps[:, None]).double()  # step, row: the row reads its token number `step`
    rows = goes_on.sum(1)
    cached = goes_on @ before + rows * steps
    flops = 2 * (cost.trunk + cost.head) * rows + cost.attention * cached
    traffic = cost.weight_bytes + cost.cache_bytes * cached
    both = torch.maximum(flops / machine.flops_per_second, traffic / machine.bytes_per_second)
    return seconds + float(both.sum())


@dataclass(frozen=True)
class Yardstick:
    """What a run's steps are held against: the cost of its model, and the machine."""

    cost: ModelCost
    machine: Machine

    @classmethod
    def of(cls, policy: Policy) -> "Yardstick":
        """Return that of a policy; the machine is put to a short test, with as many threads as the run may use."""
        cost = ModelCost.of(policy.model)
        return cls(cost, _measured(policy, cost))

    def again(self, policy: Policy) -> "Yardstick":
        """Return the yardstick with the better of its own rates and of those measured now."""
        now, before = _measured(policy, self.cost), self.machine
        rates = max(now.flops_per_second, before.flops_per_second), max(now.bytes_per_second, before.bytes_per_second)
        return Yardstick(self.cost, Machine(*rates))


def _measured(policy: Policy, cost: ModelCost) -> Machine:
    num_threads = max(torch.get_num_threads(), policy.num_workers)
    return measure_machine(policy.device, policy.dtype, cost.weight_bytes, num_threads)


def step_limits(
    yardstick: Yardstick,
    prompts: Int[Tensor, " P"],
    completions: Int[Tensor, " B"],
    *,
    num_updates: int,
    num_reference_passes: int,
    is_sampled: bool = True,
) -> Mapping[str, float]:
    """Return the least seconds of sample, score and update; other stages have no such limit.

    Lengths are in tokens, completions of a prompt next to each other. Without `is_sampled` the completions are given,
    and reading them takes the place of sampling. A critic's and a reward model's work is not in it.
    """
    cost, machine = yardstick.cost, yardstick.machine
    reading = Reading.of(prompts, completions)
    once = _seconds(machine, forward_flops(cost, reading), cost.weight_bytes)
    update = _seconds(machine, update_flops(cost, reading), cost.weight_bytes)
    reference = _seconds(machine, forward_flops(cost, reading, has_adapter=False), cost.weight_bytes)
    limits = {
        "sample": decode_seconds(cost, prompts, completions, machine) if is_sampled else once,
        "score": num_reference_passes * reference,
        "update": num_updates * update,
    }
    return {stage: seconds for stage, seconds in limits.items() if seconds}


def _adapter_flops(cost: ModelCost, reading: Reading) -> int:
    return min(2 * cost.adapter * reading.tokens, 2 * cost.folding)


def _seconds(machine: Machine, flops: int, traffic: int) -> float:
    return max(flops / machine.flops_per_second, traffic / machine.bytes_per_second)
