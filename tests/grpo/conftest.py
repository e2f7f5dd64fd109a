"""Batches for the laws: small, awkward, drawn by hypothesis. As fixtures, for no test file imports another."""

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from workbench.grpo import grpo_loss

# A busy machine is slow, and that is no fault of a formula.
settings.register_profile("formulas", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("formulas")


def tensor_of(draw, elements, shape, dtype):
    """Draw a tensor of the shape, element by element."""
    size = math.prod(shape)
    return torch.tensor(draw(st.lists(elements, min_size=size, max_size=size)), dtype=dtype).reshape(shape)


@st.composite
def draw_batch(draw, max_rows=4, min_tokens=1, max_tokens=4, dtype=torch.float64, max_log_ratio=30.0):
    """Draw what `grpo_loss` takes: rows may be masked in part or whole, ratios may be huge, advantages may be 0."""
    shape = (draw(st.integers(1, max_rows)), draw(st.integers(min_tokens, max_tokens)))
    near, far = st.floats(-0.5, 0.5), st.floats(-max_log_ratio, max_log_ratio)
    strength = st.one_of(st.just(0.0), st.floats(0.01, 3.0), st.floats(-3.0, -0.01))
    logps = tensor_of(draw, st.floats(-5.0, -0.01), shape, dtype)
    return SimpleNamespace(
        logps=logps,
        old_logps=logps - tensor_of(draw, near | far, shape, dtype),
        ref_logps=logps + tensor_of(draw, near | far, shape, dtype),
        advantages=tensor_of(draw, strength, shape if draw(st.booleans()) else shape[:1], dtype),
        mask=tensor_of(draw, st.booleans(), shape, torch.bool),
    )


@pytest.fixture(scope="session")
def batches():
    """Return the strategy: `data.draw(batches(...))`."""
    return draw_batch


@pytest.fixture(scope="session")
def loss_and_gradient():
    """Return a function that gives the terms of `grpo_loss` on a batch, and the gradient on its `logps`."""

    def evaluate(batch, **options):
        logps = batch.logps.clone().requires_grad_()
        options = {"max_completion_length": 7} | options
        terms = grpo_loss(logps, batch.old_logps, batch.ref_logps, batch.advantages, batch.mask, **options)
        terms.loss.backward()
        return terms, logps.grad

    return evaluate
