"""RLOO's advantages and DPO's loss against TRL's own trainers, called unbound on stubs, on made-up tensors."""

from collections import defaultdict
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.grpo import dpo_loss, estimate_advantages, kl_penalty

rloo_trainer = pytest.importorskip("trl.trainer.rloo_trainer", reason="TRL is not installed: nothing to compare with")
dpo_trainer = pytest.importorskip("trl.trainer.dpo_trainer", reason="TRL is not installed: nothing to compare with")


def trl_rloo(rewards_BF, weights, batch, num_generations, beta):
    """Return the advantages and the metrics of RLOOTrainer, given rewards and the two policies' log-probabilities."""
    size, device = len(rewards_BF), torch.device("cpu")
    lengths = batch.mask.sum(dim=1).tolist()
    passes = iter([batch.logps, batch.ref_logps])  # TRL scores the policy first, then the reference
    trainer = SimpleNamespace(
        accelerator=SimpleNamespace(device=device, process_index=0, reduce=lambda x, reduction: x),
        model=SimpleNamespace(training=True, is_gradient_checkpointing=False),
        ref_model=object(),
        args=SimpleNamespace(per_device_train_batch_size=size, gradient_checkpointing_kwargs=None),
        _generate=lambda prompts: ([[1]] * size, [[1] * n for n in lengths], [""] * size),
        _get_per_token_logps_and_entropies=lambda *args, **kwargs: (next(passes), None, None),
        _calculate_rewards=lambda *inputs: rewards_BF.clone(),
        _tokenizer=SimpleNamespace(pad_token_id=0),
        reward_weights=torch.tensor(weights, dtype=torch.float64),
        reward_func_names=[f"score {f}" for f in range(len(weights))],
        reward_clip_range=None,
        normalize_advantages=False,
        pad_to_multiple_of=None,
        mask_truncated_completions=False,
        beta=beta,
        num_generations=num_generations,
        _metrics={"train": defaultdict(list)},
        _logs={"rewards": defaultdict(list), "extra": {}, "prompt": [], "completion": [], "advantages": []},
        _pending_extra_logs={},
        _pending_metrics={},
    )
    output = rloo_trainer.RLOOTrainer._generate_and_score_completions(trainer, [{"prompt": ""}] * size)
    return output["advantages"], trainer._metrics["train"]


def draw_completions(data, num_rows, dtype=torch.float64):
    """Draw rows of at least one token, side by side from the left, the longest as long as the table."""
    lengths = data.draw(st.lists(st.integers(1, 4), min_size=num_rows, max_size=num_rows))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 10_000)))
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    logps, ref_logps = (-3 * torch.rand(mask.shape, generator=generator, dtype=dtype) for _ in range(2))
    return SimpleNamespace(logps=logps, ref_logps=ref_logps, mask=mask)


@settings(max_examples=80)
@given(
    data=st.data(), num_groups=st.integers(1, 3), num_generations=st.integers(2, 4), beta=st.sampled_from([0.0, 0.3])
)
def test_rloo_advantages_and_the_penalty_in_the_reward_are_trls(data, num_groups, num_generations, beta):
    reward = st.sampled_from([0.0, 1.0, -2.0, float("nan")]) | st.floats(-10.0, 10.0).map(lambda r: round(r, 3))
    size = num_groups * num_generations
    values = data.draw(st.lists(reward, min_size=2 * size, max_size=2 * size))
    rewards, weights = torch.tensor(values, dtype=torch.float64).view(size, 2), [1.0, 0.5]
    batch = draw_completions(data, size)
    theirs, metrics = trl_rloo(rewards, weights, batch, num_generations, beta)
    penalty = kl_penalty(batch.logps, batch.ref_logps, batch.mask)
    ours = estimate_advantages(
        rewards, torch.tensor(weights), num_generations, advantage_estimator="rloo", penalty=beta * penalty
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    if beta:
        mean_kl = penalty.sum() / batch.mask.sum()
        torch.testing.assert_close(mean_kl.item(), metrics["kl"][0], rtol=1e-6, atol=1e-9)


def trl_dpo(batch, pairs, beta):
    """Return DPOTrainer's loss, its gradient on the pairs' log-probabilities, and the metrics it logged."""
    rows = torch.cat([pairs[:, 0], pairs[:, 1]])  # the better ones, then the worse
    mask = torch.cat([torch.zeros(len(rows), 1), batch.mask[rows]], dim=1)  # one prompt token
    logps = torch.where(batch.mask, batch.logps, 0.0).requires_grad_()

    def model_of(values):
        table = torch.zeros(len(rows), mask.shape[1] - 1)
        outputs = {"entropy": table, "mean_logits": table, "is_top1": table.bool()}
        return lambda **inputs: SimpleNamespace(log_probs=values[rows], **outputs)

    policy = torch.nn.Module()  # TRL looks into it for an adapter
    policy.is_gradient_checkpointing = False
    trainer = SimpleNamespace(
        accelerator=SimpleNamespace(device=torch.device("cpu"), gather=lambda x: x, gather_for_metrics=lambda x: x),
        model=policy,
        ref_model=model_of(torch.where(batch.mask, batch.ref_logps, 0.0)),
        args=SimpleNamespace(gradient_checkpointing_kwargs=None),
        aux_loss_enabled=False,
        ld_alpha=None,
        precompute_ref_logps=False,
        f_divergence_type="reverse_kl",
        loss_types=["sigmoid"],
        loss_weights=[1.0],
        use_weighting=False,
        beta=beta,
        _tp_size=1,
        _total_train_tokens=0,
        _metrics={"train": defaultdict(list)},
    )
    inputs = {"input_ids": torch.ones(mask.shape), "attention_mask": mask, "completion_mask": mask}
    loss = dpo_trainer.DPOTrainer._compute_loss(trainer, model_of(logps), inputs, return_outputs=False)
    (gradient,) = torch.autograd.grad(loss, logps)
    return loss.detach(), gradient, trainer._metrics["train"]


@settings(max_examples=80)
@given(data=st.data(), num_rows=st.integers(2, 5), beta=st.floats(0.01, 2.0))
def test_dpo_loss_gradient_and_margins_are_trls(data, num_rows, beta):
    batch = draw_completions(data, num_rows)
    row = st.integers(0, num_rows - 1)
    pairs = torch.tensor(data.draw(st.lists(st.tuples(row, row), min_size=1, max_size=4)))
    loss, gradient, metrics = trl_dpo(batch, pairs, beta)
    ours = dpo_loss(batch.logps, batch.ref_logps, batch.mask, pairs, beta)
    torch.testing.assert_close(ours.loss, loss, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(-ours.coefficients, torch.where(batch.mask, gradient, 0.0), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(ours.margins.mean().item(), metrics["rewards/margins"][0], rtol=1e-6, atol=1e-9)
