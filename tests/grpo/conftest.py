"""Batches for the laws: small, awkward, drawn by hypothesis. As fixtures, for no test file imports another."""

import math
from collections import defaultdict
from types import MethodType, SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import strategies as st

from workbench.grpo import grpo_loss


def tensor_of(draw, elements, shape, dtype):
    """Draw a tensor of the shape, element by element."""
    size = math.prod(shape)
    return torch.tensor(draw(st.lists(elements, min_size=size, max_size=size)), dtype=dtype).reshape(shape)


@st.composite
def draw_batch(draw, min_rows=1, max_rows=4, min_tokens=1, max_tokens=4, dtype=torch.float64, max_log_ratio=30.0):
    """Draw what `grpo_loss` takes: rows may be masked in part or whole, ratios may be huge, advantages may be 0."""
    shape = (draw(st.integers(min_rows, max_rows)), draw(st.integers(min_tokens, max_tokens)))
    near, far = st.floats(-0.5, 0.5), st.floats(-max_log_ratio, max_log_ratio)
    strength = st.one_of(st.just(0.0), st.floats(0.01, 3.0), st.floats(-3.0, -0.01))
    logps = tensor_of(draw, st.floats(-5.0, -0.01), shape, dtype)
    return SimpleNamespace(
        logps=logps,
        old_logps=logps - tensor_of(draw, near | far, shape, dtype),
        ref_logps=logps + tensor_of(draw, near | far, shape, dtype),
        advantages=tensor_of(draw, strength, shape if draw(st.booleans()) else shape[:1], dtype),
        mask=tensor_of(draw, st.booleans(), shape, torch.bool),
        entropies=tensor_of(draw, st.integers(0, 24), shape, dtype) / 8,  # ties, and the same in float32
        exact_kl=tensor_of(draw, st.integers(0, 24), shape, dtype) / 8,
    )


@pytest.fixture(scope="session")
def batches():
    """Return the strategy: `data.draw(batches(...))`."""
    return draw_batch


def evaluate_loss(batch, **options):
    """Return the terms of `grpo_loss` on a batch, and its gradients by the name of what they are on."""
    names = ["logps", "entropies", "exact_kl"]
    leaves = {name: getattr(batch, name).clone().requires_grad_() for name in names if hasattr(batch, name)}
    of_entropy = {name: leaf for name, leaf in leaves.items() if name != "logps"}
    keywords: dict[str, Any] = {"max_completion_length": 7} | of_entropy | options
    terms = grpo_loss(leaves["logps"], batch.old_logps, batch.ref_logps, batch.advantages, batch.mask, **keywords)
    terms.loss.backward()
    zeros = torch.zeros_like(batch.logps)
    return terms, {name: zeros if leaf.grad is None else leaf.grad for name, leaf in leaves.items()}


@pytest.fixture(scope="session")
def loss_and_gradients():
    """Return `evaluate_loss`: `loss_and_gradients(batch, beta=0.1, ...)`."""
    return evaluate_loss


@pytest.fixture(scope="session")
def loss_and_gradient():
    """Return a function that gives the terms of `grpo_loss` on a batch, and the gradient on its `logps`."""

    def evaluate(batch, **options):
        terms, gradients = evaluate_loss(batch, **options)
        return terms, gradients["logps"]

    return evaluate


def stub_trainer(grpo_trainer, **options):
    """Return what TRL's `_compute_loss` reads of a trainer: one process, in training, no vLLM."""
    epsilon, epsilon_high = options.get("epsilon", 0.2), options.get("epsilon_high")
    num_micro_batches = options.get("num_micro_batches", 1)
    of_args = {
        "delta": None,
        "use_bias_correction_kl": False,
        "sapo_temperature_pos": 1.0,
        "sapo_temperature_neg": 1.05,
    }
    of_args |= {"vespo_k_pos": 2.0, "vespo_lambda_pos": 3.0, "vespo_k_neg": 3.0, "vespo_lambda_neg": 2.0}
    of_args |= {"steps_per_generation": num_micro_batches}
    trainer = SimpleNamespace(
        loss_type=options.get("loss_type", "grpo"),
        beta=options.get("beta", 0.0),
        epsilon_low=epsilon,
        epsilon_high=epsilon if epsilon_high is None else epsilon_high,
        importance_sampling_level=options.get("importance_sampling_level", "token"),
        max_completion_length=7,
        current_gradient_accumulation_steps=num_micro_batches,
        args=SimpleNamespace(**{name: options.get(name, default) for name, default in of_args.items()}),
        accelerator=SimpleNamespace(
            num_processes=1,
            sync_gradients=True,
            gather=lambda x: x,
            reduce=lambda x, reduction: x,
            pad_across_processes=lambda x, **_: x,
        ),
        model=SimpleNamespace(training=True),
        aux_loss_enabled=False,
        top_entropy_quantile=options.get("top_entropy_quantile", 1.0),
        off_policy_mask_threshold=options.get("off_policy_mask_threshold"),
        use_vllm=False,
        entropy_coef=options.get("entropy_coef", 0.0),
        use_adaptive_entropy=False,
        _entropy_bonus_enabled=options.get("entropy_coef", 0.0) != 0,
        _metrics={"train": defaultdict(list)},
        get_off_policy_mask=grpo_trainer.GRPOTrainer.get_off_policy_mask,
        get_gamma_weights=grpo_trainer.GRPOTrainer.get_gamma_weights,
    )
    trainer.get_high_entropy_mask = MethodType(grpo_trainer.GRPOTrainer.get_high_entropy_mask, trainer)
    return trainer


@pytest.fixture(scope="session")
def trl_loss():
    """Return a function that runs TRL's own `_compute_loss` on a batch: its loss, its gradients and what it logged.

    TRL makes its constants (sapo's temperatures, vespo's k) in torch's default type, so that is set to the batch's.
    """
    grpo_trainer = pytest.importorskip("trl.trainer.grpo_trainer", reason="TRL is not installed: nothing to compare")

    def evaluate(batch, *, num_items_in_batch=None, **options):
        trainer = stub_trainer(grpo_trainer, **options)
        logps, entropies = batch.logps.clone().requires_grad_(), batch.entropies.clone().requires_grad_()
        trainer._get_per_token_logps_and_entropies = lambda *args, **kwargs: (logps, entropies, None)
        mask = batch.mask.to(logps.dtype)
        inputs = {
            "prompt_ids": torch.zeros(len(mask), 1, dtype=torch.long),
            "prompt_mask": torch.ones(len(mask), 1, dtype=torch.long),
            "completion_ids": torch.zeros(mask.shape, dtype=torch.long),
            "completion_mask": mask,
            "advantages": batch.advantages,
            "old_per_token_logps": batch.old_logps,
            "ref_per_token_logps": batch.ref_logps,
            "num_items_in_batch": mask.sum() if num_items_in_batch is None else num_items_in_batch,
        }
        default = torch.get_default_dtype()
        torch.set_default_dtype(logps.dtype)
        try:
            loss = grpo_trainer.GRPOTrainer._compute_loss(trainer, None, inputs)
        finally:
            torch.set_default_dtype(default)
        loss.backward()
        return SimpleNamespace(
            loss=loss.detach(),
            logps_grad=logps.grad,
            entropies_grad=torch.zeros_like(entropies) if entropies.grad is None else entropies.grad,
            metrics={name: values[0] for name, values in trainer._metrics["train"].items()},
        )

    return evaluate
