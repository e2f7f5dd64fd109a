from types import SimpleNamespace

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from workbench.grpo import KL_ESTIMATORS, clipped_surrogate, grpo_loss, token_weights

LOSS_TYPES = ["grpo", "bnpo", "dr_grpo", "dapo"]
INF, NAN = float("inf"), float("nan")
OPTIONS = st.fixed_dictionaries(
    {
        "loss_type": st.sampled_from(LOSS_TYPES),
        "beta": st.sampled_from([0.0, 0.1]),
        "delta": st.sampled_from([None, 3.0, 1.1]),
        "epsilon_high": st.sampled_from([None, 0.28]),
        "importance_sampling_level": st.sampled_from(["token", "sequence"]),
        "kl_estimator": st.sampled_from(sorted(KL_ESTIMATORS)),
        "use_bias_correction_kl": st.booleans(),
    }
)
TIGHT = {"rtol": 1e-9, "atol": 1e-12}


def two_rows(dtype=torch.float32):
    """Return a batch with ratios 2, 1 | 1/2 and a masked token, and k3 = 1 - log 2 on its very first token."""
    return SimpleNamespace(
        logps=torch.tensor([[0.5, 0.5], [0.25, 0.125]], dtype=dtype).log(),
        old_logps=torch.tensor([[0.25, 0.5], [0.5, 0.125]], dtype=dtype).log(),
        ref_logps=torch.tensor([[1.0, 0.5], [0.25, 0.125]], dtype=dtype).log(),
        advantages=torch.tensor([1.0, -1.0], dtype=dtype),
        mask=torch.tensor([[1, 1], [1, 0]]),
    )


def with_rows(batch, rows):
    return SimpleNamespace(**{name: tensor[rows] for name, tensor in vars(batch).items()})


@pytest.mark.parametrize(
    ("loss_type", "expected"),
    [("grpo", ((-1.2 - 1) / 2 + 0.8) / 2), ("dapo", (-1.2 - 1 + 0.8) / 3), ("dr_grpo", (-1.2 - 1 + 0.8) / (2 * 7))],
)
def test_the_loss_is_the_one_computed_by_hand(loss_and_gradient, loss_type, expected):
    terms, _ = loss_and_gradient(two_rows(), loss_type=loss_type)
    torch.testing.assert_close(terms.loss.item(), expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(terms.ratio, torch.tensor([[2.0, 1.0], [0.5, 1.0]]))
    assert terms.clipped.tolist() == [[True, False], [True, False]]
    assert terms.outside_band.tolist() == [[True, False], [True, False]]


def test_beta_adds_the_weighted_kl(loss_and_gradient):
    without, _ = loss_and_gradient(two_rows(torch.float64))
    with_kl, _ = loss_and_gradient(two_rows(torch.float64), beta=0.5)
    k3 = 1 - torch.tensor(2.0, dtype=torch.float64).log()  # d = log 2: e^d - 1 - d
    torch.testing.assert_close(with_kl.kl[0, 0], k3)
    torch.testing.assert_close(with_kl.loss - without.loss, 0.5 * k3 / 4)


@given(data=st.data(), options=OPTIONS)
def test_the_loss_is_the_composition_of_its_parts(batches, loss_and_gradient, data, options):
    batch = data.draw(batches(max_log_ratio=5.0))
    terms, _ = loss_and_gradient(batch, **options)
    surrogate = clipped_surrogate(
        terms.ratio, batch.advantages, epsilon_high=options["epsilon_high"], delta=options["delta"]
    )
    expected = (terms.weights * (options["beta"] * terms.kl - surrogate)).sum()
    torch.testing.assert_close(terms.loss.detach(), expected, **TIGHT)
    assert torch.equal(terms.weights, token_weights(options["loss_type"], batch.mask.double(), 7))


@given(data=st.data(), options=OPTIONS)
def test_whatever_padding_holds_it_never_changes_value_gradient_or_terms(batches, loss_and_gradient, data, options):
    batch = data.draw(batches())
    garbage = st.sampled_from([NAN, INF, -INF, 1e30, -1e30])
    dirty = SimpleNamespace(**vars(batch))
    names = ["logps", "old_logps", "ref_logps"] + (["advantages"] if batch.advantages.dim() == 2 else [])
    for name in names:
        setattr(dirty, name, getattr(batch, name).masked_fill(~batch.mask, data.draw(garbage)))
    clean_terms, clean_gradient = loss_and_gradient(batch, **options)
    dirty_terms, dirty_gradient = loss_and_gradient(dirty, **options)
    for name, clean_value in vars(clean_terms).items():
        assert torch.equal(clean_value, getattr(dirty_terms, name)), name
    assert torch.equal(clean_gradient, dirty_gradient)
    assert not clean_gradient[~batch.mask].any()


@given(data=st.data(), options=OPTIONS, num_columns=st.integers(1, 3))
def test_more_padding_changes_neither_value_nor_gradient(batches, loss_and_gradient, data, options, num_columns):
    batch = data.draw(batches(max_log_ratio=5.0))
    columns = (0, num_columns)
    wider = SimpleNamespace(
        **{
            name: torch.nn.functional.pad(tensor, columns) if tensor.dim() == 2 else tensor
            for name, tensor in vars(batch).items()
        }
    )
    terms, gradient = loss_and_gradient(batch, **options)
    wide_terms, wide_gradient = loss_and_gradient(wider, **options)
    torch.testing.assert_close(wide_terms.loss, terms.loss, **TIGHT)
    torch.testing.assert_close(wide_gradient[:, :-num_columns], gradient, **TIGHT)


@given(data=st.data(), options=OPTIONS)
def test_the_order_of_the_rows_does_not_matter(batches, loss_and_gradient, data, options):
    batch = data.draw(batches(max_log_ratio=5.0))
    order = torch.tensor(data.draw(st.permutations(range(len(batch.logps)))))
    terms, gradient = loss_and_gradient(batch, **options)
    permuted_terms, permuted_gradient = loss_and_gradient(with_rows(batch, order), **options)
    torch.testing.assert_close(permuted_terms.loss, terms.loss, **TIGHT)
    torch.testing.assert_close(permuted_gradient, gradient[order], **TIGHT)


@given(data=st.data(), options=OPTIONS)
def test_micro_batches_with_the_weights_of_the_batch_add_up_to_it(batches, loss_and_gradient, data, options):
    batch = data.draw(batches(max_log_ratio=5.0))
    cut = data.draw(st.integers(0, len(batch.logps)))
    assume(0 < cut < len(batch.logps))
    weights = token_weights(options["loss_type"], batch.mask.double(), max_completion_length=7)
    terms, gradient = loss_and_gradient(batch, **options)
    halves = [
        loss_and_gradient(with_rows(batch, rows), weights=weights[rows], **options)
        for rows in (slice(None, cut), slice(cut, None))
    ]
    torch.testing.assert_close(sum(half.loss for half, _ in halves), terms.loss, **TIGHT)
    assert torch.equal(torch.cat([half_gradient for _, half_gradient in halves]), gradient)


@given(data=st.data(), loss_type=st.sampled_from(LOSS_TYPES), level=st.sampled_from(["token", "sequence"]))
def test_on_policy_the_gradient_is_reinforce_with_these_advantages(batches, loss_and_gradient, data, loss_type, level):
    batch = data.draw(batches(max_log_ratio=1.0))
    batch.advantages = batch.advantages if batch.advantages.dim() == 1 else batch.advantages[:, 0]
    batch.old_logps = batch.logps
    terms, gradient = loss_and_gradient(batch, loss_type=loss_type, importance_sampling_level=level)
    logps = batch.logps.clone().requires_grad_()
    (-terms.weights * batch.advantages[:, None] * logps).sum().backward()
    assert torch.equal(terms.ratio, torch.ones_like(terms.ratio))
    torch.testing.assert_close(gradient, logps.grad, **TIGHT)


def test_on_policy_with_centred_advantages_the_loss_is_zero_and_its_gradient_is_not(loss_and_gradient):
    batch = two_rows()
    batch.old_logps, batch.mask = batch.logps, torch.ones(2, 2)
    terms, gradient = loss_and_gradient(batch)
    assert terms.loss == 0
    assert gradient.abs().sum() == 1


@given(data=st.data(), options=OPTIONS)
def test_clipped_tokens_are_those_whose_gradient_is_zero(batches, loss_and_gradient, data, options):
    batch = data.draw(batches(max_log_ratio=5.0))
    batch.advantages = batch.advantages if batch.advantages.dim() == 1 else batch.advantages[:, 0]
    terms, gradient = loss_and_gradient(batch, **options | {"beta": 0.0})
    has_advantage = (batch.advantages != 0)[:, None] & batch.mask
    assert torch.equal(terms.clipped, (gradient == 0) & has_advantage)


@pytest.mark.parametrize("options", [{"beta": 0.0}, {"beta": 0.1}])
def test_a_batch_with_no_token_at_all_has_loss_zero_and_gradient_zero(loss_and_gradient, options):
    batch = two_rows()
    batch.mask = torch.zeros(2, 2)
    for loss_type in LOSS_TYPES:
        terms, gradient = loss_and_gradient(batch, loss_type=loss_type, **options)
        assert terms.loss == 0 and not gradient.any()


def test_dead_groups_still_feel_the_kl(loss_and_gradient):
    batch = two_rows()
    batch.advantages = torch.zeros(2)
    _, gradient = loss_and_gradient(batch, beta=0.1)
    assert gradient[0, 0] != 0


def test_the_kl_is_shown_at_beta_zero_but_not_in_the_loss(loss_and_gradient):
    batch = two_rows()
    shown, _ = loss_and_gradient(batch)
    batch.ref_logps = None
    absent, _ = loss_and_gradient(batch)
    assert shown.kl[0, 0] > 0 and not absent.kl.any()
    assert shown.loss == absent.loss


def test_an_infinite_kl_that_is_only_shown_does_not_spoil_the_loss(loss_and_gradient):
    batch = two_rows()
    batch.ref_logps = torch.full((2, 2), 1e4)
    terms, gradient = loss_and_gradient(batch)
    assert terms.kl.isinf().any() and terms.loss.isfinite() and gradient.isfinite().all()


@pytest.mark.parametrize(
    ("given_dtype", "returned"),
    [(torch.float16, torch.float32), (torch.bfloat16, torch.float32), (torch.float64, torch.float64)],
)
def test_half_is_computed_in_float32_and_float64_stays(loss_and_gradient, given_dtype, returned):
    batch = two_rows(given_dtype)
    terms, gradient = loss_and_gradient(batch, beta=0.1)
    assert {terms.loss.dtype, terms.ratio.dtype, terms.kl.dtype, terms.weights.dtype} == {returned}
    exact = SimpleNamespace(**{name: tensor.double() for name, tensor in vars(batch).items()})
    exact_terms, exact_gradient = loss_and_gradient(exact, beta=0.1)
    torch.testing.assert_close(terms.loss.double(), exact_terms.loss, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gradient.double(), exact_gradient, rtol=1e-2, atol=1e-3)  # stored in half again


@pytest.mark.parametrize("dtype", [torch.bool, torch.int32, torch.int64, torch.float32])
def test_the_dtype_of_the_mask_does_not_matter(loss_and_gradient, dtype):
    batch = two_rows()
    expected, _ = loss_and_gradient(batch, beta=0.1)
    batch.mask = batch.mask.to(dtype)
    terms, _ = loss_and_gradient(batch, beta=0.1)
    assert torch.equal(terms.loss, expected.loss) and torch.equal(terms.weights, expected.weights)


def test_only_the_loss_carries_a_gradient(loss_and_gradient):
    terms, _ = loss_and_gradient(two_rows(), beta=0.1)
    assert [name for name, value in vars(terms).items() if value.requires_grad] == ["loss"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss_type": "ppo"}, "loss_type='ppo'.*grpo, bnpo, dr_grpo, dapo"),
        ({"loss_type": "ppo", "weights": torch.ones(2, 2)}, "loss_type='ppo'"),
        ({"loss_type": "dr_grpo"}, "max_completion_length"),
        ({"beta": 0.1}, "beta=0.1.*ref_logps is None"),
        ({"kl_estimator": "k4"}, "kl_estimator='k4'.*k1, k2, k3"),
        ({"importance_sampling_level": "word"}, "importance_sampling_level='word'.*token, sequence"),
    ],
)
def test_bad_options_are_named_with_what_is_allowed(options, message):
    batch = two_rows()
    with pytest.raises(ValueError, match=message):
        grpo_loss(batch.logps, batch.old_logps, None, batch.advantages, batch.mask, **options)


def test_dr_grpo_needs_no_length_when_the_weights_are_given():
    batch = two_rows()
    weights = token_weights("dr_grpo", batch.mask, max_completion_length=4)
    terms = grpo_loss(
        batch.logps, batch.old_logps, None, batch.advantages, batch.mask, loss_type="dr_grpo", weights=weights
    )
    assert torch.equal(terms.weights, weights)


def test_given_weights_count_on_tokens_only():
    batch = two_rows()
    weights = torch.tensor([[0.25, 0.25], [0.5, NAN]])
    terms = grpo_loss(batch.logps, batch.old_logps, None, batch.advantages, batch.mask, weights=weights)
    assert terms.loss.isfinite() and terms.weights[1, 1] == 0
