"""Advantages, log-probabilities and entropy against TRL's own code."""

from collections import defaultdict
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.grpo import (
    frac_reward_zero_std,
    gdpo_advantages,
    group_advantages,
    logps_and_entropy,
    summed_z_scores,
)

grpo_trainer = pytest.importorskip("trl.trainer.grpo_trainer", reason="TRL is not installed: nothing to compare with")
trl_utils = pytest.importorskip("trl.trainer.utils")


def trl_advantages(rewards_BF, num_generations, scale_rewards, aggregation="sum_then_normalize", weights=(1.0,)):
    """Return the advantages and the metrics of TRL's `_generate_and_score_completions`, given the rewards as scored."""
    size = len(rewards_BF)
    trainer = SimpleNamespace(
        accelerator=SimpleNamespace(device=torch.device("cpu"), gather=lambda x: x, process_index=0),
        model=SimpleNamespace(training=True, is_gradient_checkpointing=False),
        args=SimpleNamespace(
            per_device_train_batch_size=size,
            steps_per_generation=1,
            gradient_accumulation_steps=1,
            gradient_checkpointing_kwargs=None,
        ),
        _generate=lambda prompts: ([[1]] * size, [[1]] * size, None, [""] * size, None, {}, None, None),
        _calculate_rewards=lambda *inputs: rewards_BF.clone(),
        _tokenizer=SimpleNamespace(pad_token_id=0),
        reward_weights=torch.tensor(weights, dtype=rewards_BF.dtype),
        reward_funcs=[None] * len(weights),
        reward_func_names=[f"score {f}" for f in range(len(weights))],
        environment_factories=None,
        environments=None,
        tools=None,
        pad_to_multiple_of=None,
        mask_truncated_completions=False,
        num_iterations=1,
        use_vllm=False,
        beta=0.0,
        num_generations=num_generations,
        multi_objective_aggregation=aggregation,
        scale_rewards=scale_rewards,
        _metrics={"train": defaultdict(list)},
        _logs={"rewards": defaultdict(list), "extra": {}, "prompt": [], "completion": [], "advantages": []},
        _pending_extra_logs={},
        _pending_metrics={},
    )
    inputs = [{"prompt": ""}] * size
    output = grpo_trainer.GRPOTrainer._generate_and_score_completions(trainer, inputs)
    return output["advantages"], trainer._metrics["train"]


@pytest.mark.parametrize("scale_rewards", ["group", "batch", "none"])
@settings(max_examples=60)
@given(data=st.data(), num_groups=st.integers(1, 3), num_generations=st.integers(2, 4))
def test_advantages_and_zero_std_share_are_trls(data, scale_rewards, num_groups, num_generations):
    reward = st.sampled_from([0.0, 1.0, 0.5, -2.0, float("nan")]) | st.floats(-10.0, 10.0).map(lambda r: round(r, 3))
    size = num_groups * num_generations
    rewards = torch.tensor(data.draw(st.lists(reward, min_size=size, max_size=size)), dtype=torch.float64)
    advantages, metrics = trl_advantages(rewards[:, None], num_generations, scale_rewards)
    ours = group_advantages(rewards, num_generations, scale_rewards=scale_rewards)
    torch.testing.assert_close(ours, advantages, rtol=1e-7, atol=1e-9)  # TRL's N / (N - 1) is in float32
    share = frac_reward_zero_std(rewards, num_generations, scale_rewards=scale_rewards)
    torch.testing.assert_close(share.item(), metrics["frac_reward_zero_std"][0], rtol=1e-6, atol=1e-6)


@settings(max_examples=60)
@given(data=st.data(), num_groups=st.integers(1, 3), num_generations=st.integers(2, 4))
def test_gdpo_advantages_are_trls_normalize_then_sum(data, num_groups, num_generations):
    reward = st.sampled_from([0.0, 1.0, 0.5, -2.0, float("nan")]) | st.floats(-10.0, 10.0).map(lambda r: round(r, 3))
    size = num_groups * num_generations * 2
    rewards = torch.tensor(data.draw(st.lists(reward, min_size=size, max_size=size)), dtype=torch.float64).view(-1, 2)
    weights = data.draw(st.sampled_from([(1.0, 1.0), (0.25, 2.0), (1.0, 0.0), (-1.0, 1.0)]))
    advantages, metrics = trl_advantages(rewards, num_generations, "group", "normalize_then_sum", weights)
    ours = gdpo_advantages(rewards, torch.tensor(weights), num_generations)
    torch.testing.assert_close(ours, advantages, rtol=1e-6, atol=1e-8)  # TRL's N / (N - 1) is in float32
    sums = summed_z_scores(rewards, torch.tensor(weights), num_generations)
    share = frac_reward_zero_std(sums, num_generations, scale_rewards="batch")
    assert share == metrics["frac_reward_zero_std"][0]


@given(seed=st.integers(0, 1000), temperature=st.floats(0.3, 3.0))
def test_logps_and_entropy_are_trls(seed, temperature):
    logits = 3 * torch.randn(2, 3, 11, generator=torch.Generator().manual_seed(seed))
    ids = torch.arange(6).view(2, 3)
    logps, entropy = logps_and_entropy(logits, ids, temperature)
    torch.testing.assert_close(logps, trl_utils.selective_log_softmax(logits / temperature, ids), rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(entropy, trl_utils.entropy_from_logits(logits / temperature), rtol=1e-5, atol=1e-5)
