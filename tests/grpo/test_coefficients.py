import itertools
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.grpo import KL_ESTIMATORS, gradient_coefficient, gradient_parts, grpo_loss

LOSS_TYPES = ["grpo", "bnpo", "dr_grpo", "dapo"]


def parts_of(terms, batch, **options):
    return gradient_parts(terms, batch.logps, batch.ref_logps, batch.advantages, batch.mask, **options)


@pytest.mark.parametrize(
    ("loss_type", "level", "kl_estimator", "use_bias_correction_kl"),
    list(itertools.product(LOSS_TYPES, ["token", "sequence"], sorted(KL_ESTIMATORS), [False, True])),
)
@settings(max_examples=6)
@given(data=st.data())
def test_the_coefficient_is_minus_the_gradient_of_the_loss(
    batches, loss_and_gradient, data, loss_type, level, kl_estimator, use_bias_correction_kl
):
    batch = data.draw(batches(max_log_ratio=5.0))
    shared = {
        "beta": data.draw(st.sampled_from([0.0, 0.04, 1.0])),
        "importance_sampling_level": level,
        "kl_estimator": kl_estimator,
        "use_bias_correction_kl": use_bias_correction_kl,
    }
    delta = data.draw(st.sampled_from([None, 3.0, 1.1]))
    terms, gradient = loss_and_gradient(batch, loss_type=loss_type, epsilon_high=0.28, delta=delta, **shared)
    coefficient = gradient_coefficient(parts_of(terms, batch, **shared))
    torch.testing.assert_close(coefficient, -gradient, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("level", ["token", "sequence"])
@given(data=st.data())
def test_push_and_lost_together_are_the_push_without_any_clip(batches, loss_and_gradient, data, level):
    batch = data.draw(batches(max_log_ratio=5.0))
    terms, _ = loss_and_gradient(batch, importance_sampling_level=level)
    free_terms, free_gradient = loss_and_gradient(batch, importance_sampling_level=level, epsilon=1e9)
    assert not free_terms.clipped.any()
    parts = parts_of(terms, batch, importance_sampling_level=level)
    torch.testing.assert_close(parts.push + parts.lost, -free_gradient, rtol=1e-9, atol=1e-9)


@given(data=st.data())
def test_bias_corrected_k3_pulls_each_token_by_the_ratio_times_the_log_difference(batches, loss_and_gradient, data):
    batch = data.draw(batches(max_log_ratio=3.0))
    options = {"beta": 0.5, "use_bias_correction_kl": True}
    terms, _ = loss_and_gradient(batch, **options)
    pull = parts_of(terms, batch, **options).kl_pull
    expected = -0.5 * terms.weights * terms.ratio * (batch.logps - batch.ref_logps)
    torch.testing.assert_close(pull, torch.where(batch.mask, expected, 0.0), rtol=1e-9, atol=1e-9)


def test_garbage_on_padding_reaches_no_part():
    nan = float("nan")
    logps, mask = torch.tensor([[-1.0, nan]]), torch.tensor([[1, 0]])
    other_logps = torch.tensor([[-1.5, nan]])
    for level in ("token", "sequence"):
        options = {"beta": 0.1, "importance_sampling_level": level, "use_bias_correction_kl": True}
        advantages = torch.tensor([[2.0, nan]])
        terms = grpo_loss(logps, other_logps, other_logps, advantages, mask, **options)
        parts = gradient_parts(terms, logps, other_logps, advantages, mask, **options)
        for part in (parts.push, parts.kl_pull, parts.lost):
            assert part.isfinite().all() and part[0, 1] == 0


def test_beta_without_a_reference_is_refused(loss_and_gradient):
    batch = SimpleNamespace(
        logps=torch.zeros(1, 1),
        old_logps=torch.zeros(1, 1),
        ref_logps=None,
        advantages=torch.ones(1),
        mask=torch.ones(1, 1),
    )
    terms, _ = loss_and_gradient(batch)
    with pytest.raises(ValueError, match=r"beta=0.1.*ref_logps is None"):
        parts_of(terms, batch, beta=0.1)
