from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.grpo import KL_ESTIMATORS, LOSS_TYPES, gradient_coefficient, gradient_parts, grpo_loss


def parts_of(terms, batch, **options):
    return gradient_parts(terms, batch.logps, batch.ref_logps, batch.advantages, batch.mask, **options)


OPTIONS = st.fixed_dictionaries(
    {
        "max_completion_length": st.just(7),
        "beta": st.sampled_from([0.0, 0.04, 1.0]),
        "kl_estimator": st.sampled_from(sorted(KL_ESTIMATORS)),
        "use_bias_correction_kl": st.booleans(),
        "epsilon_high": st.sampled_from([None, 0.28, 5.0]),
        "delta": st.sampled_from([None, 3.0, 1.1]),
        "off_policy_mask_threshold": st.sampled_from([None, 0.5]),
        "top_entropy_quantile": st.sampled_from([1.0, 0.4]),
        "sapo_temperature_pos": st.sampled_from([1.0, 0.5]),
        "sapo_temperature_neg": st.sampled_from([1.05, 2.0]),
        "vespo_k_pos": st.sampled_from([2.0, 0.5]),
        "vespo_lambda_neg": st.sampled_from([2.0, 0.0]),
    }
)


@pytest.mark.parametrize("level", ["token", "sequence"])
@pytest.mark.parametrize("loss_type", LOSS_TYPES)
@settings(max_examples=15)
@given(data=st.data(), options=OPTIONS)
def test_the_coefficient_is_minus_the_gradient_of_the_loss(batches, loss_and_gradient, data, loss_type, level, options):
    batch = data.draw(batches(max_log_ratio=5.0))
    options |= {"loss_type": loss_type, "importance_sampling_level": level, "entropies": batch.entropies}
    terms, gradient = loss_and_gradient(batch, **options)
    coefficient = gradient_coefficient(parts_of(terms, batch, **options))
    torch.testing.assert_close(coefficient, -gradient, rtol=1e-9, atol=1e-9)


@settings(max_examples=30)
@given(data=st.data(), options=OPTIONS, loss_type=st.sampled_from(LOSS_TYPES))
def test_entropy_bonus_and_exact_kl_are_in_no_part(batches, loss_and_gradient, data, options, loss_type):
    batch = data.draw(batches(max_log_ratio=5.0))
    options |= {"loss_type": loss_type, "kl_estimator": "exact", "use_bias_correction_kl": False, "entropy_coef": 0.3}
    options |= {"entropies": batch.entropies, "exact_kl": batch.exact_kl}
    terms, gradient = loss_and_gradient(batch, **options)
    parts = parts_of(terms, batch, **options)
    assert not parts.kl_pull.any()
    torch.testing.assert_close(gradient_coefficient(parts), -gradient, rtol=1e-9, atol=1e-9)


@settings(max_examples=30)
@given(data=st.data(), loss_type=st.sampled_from(LOSS_TYPES), level=st.sampled_from(["token", "sequence"]))
def test_the_parts_of_some_rows_are_these_rows_of_the_parts(batches, loss_and_gradient, data, loss_type, level):
    batch = data.draw(batches(min_rows=2, max_log_ratio=1.0))
    options = {"loss_type": loss_type, "importance_sampling_level": level, "beta": 0.1}
    terms, _ = loss_and_gradient(batch, **options)
    row = SimpleNamespace(**{name: tensor[:1] for name, tensor in vars(batch).items()})
    cut = type(terms)(**{name: value[:1] if value.dim() else value for name, value in vars(terms).items()})
    of_row, whole = parts_of(cut, row, **options), parts_of(terms, batch, **options)
    for name, part in vars(of_row).items():
        torch.testing.assert_close(part, getattr(whole, name)[:1], rtol=1e-12, atol=1e-12)


def test_an_option_that_the_loss_does_not_have_is_refused(loss_and_gradient):
    batch = SimpleNamespace(
        logps=torch.zeros(1, 1),
        old_logps=torch.zeros(1, 1),
        ref_logps=None,
        advantages=torch.ones(1),
        mask=torch.ones(1, 1),
    )
    terms, _ = loss_and_gradient(batch)
    with pytest.raises(TypeError, match="betta"):
        parts_of(terms, batch, betta=0.1)


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
