from types import SimpleNamespace

import pytest
import torch

from workbench.grpo import LOSS_TYPES, BatchWeights, batch_weights, grpo_loss

INF, NAN = float("inf"), float("nan")


def two_rows(dtype=torch.float32):
    """Return a batch with ratios 2, 1 | 1/2 and a masked token, and k3 = 1 - log 2 on its very first token."""
    return SimpleNamespace(
        logps=torch.tensor([[0.5, 0.5], [0.25, 0.125]], dtype=dtype).log(),
        old_logps=torch.tensor([[0.25, 0.5], [0.5, 0.125]], dtype=dtype).log(),
        ref_logps=torch.tensor([[1.0, 0.5], [0.25, 0.125]], dtype=dtype).log(),
        advantages=torch.tensor([1.0, -1.0], dtype=dtype),
        mask=torch.tensor([[1, 1], [1, 0]]),
    )


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


def test_on_policy_with_centred_advantages_the_loss_is_zero_and_its_gradient_is_not(loss_and_gradient):
    batch = two_rows()
    batch.old_logps, batch.mask = batch.logps, torch.ones(2, 2)
    terms, gradient = loss_and_gradient(batch)
    assert terms.loss == 0
    assert gradient.abs().sum() == 1


def test_the_off_policy_mask_drops_the_bad_completion_that_was_left_and_no_other(loss_and_gradient):
    batch = two_rows(torch.float64)  # row 2: A = -1, its token half as likely as before, so 0.69 nats away
    for threshold, kept in [(0.6, False), (0.7, True)]:
        terms, _ = loss_and_gradient(batch, epsilon=0.9, off_policy_mask_threshold=threshold)
        assert terms.kept.tolist() == [[True, True], [kept, False]]
        assert (terms.token_losses[1, 0] != 0) == kept


def test_a_token_that_is_dropped_is_not_called_clipped_too(loss_and_gradient):
    batch = two_rows(torch.float64)
    terms, _ = loss_and_gradient(batch, off_policy_mask_threshold=0.6)
    assert terms.clipped.tolist() == [[True, False], [False, False]]  # the first of row 2 is outside the band as well
    assert terms.outside_band[1, 0]


def test_the_entropy_bonus_is_the_mean_over_the_high_entropy_tokens_by_hand(loss_and_gradients):
    batch = two_rows(torch.float64)
    batch.entropies = torch.tensor([[0.25, 2.0], [1.0, NAN]], dtype=torch.float64)
    terms, gradients = loss_and_gradients(batch, entropy_coef=0.5, top_entropy_quantile=0.5)
    assert terms.kept.tolist() == [[False, True], [True, False]]  # the median 1.0 is in
    assert terms.entropy_bonus == 0.5 * (2 + 1) / 2
    torch.testing.assert_close(terms.loss.detach(), terms.token_losses.sum() - terms.entropy_bonus)
    assert gradients["entropies"].tolist() == [[0, -0.25], [-0.25, 0]]


def test_the_exact_kl_enters_as_it_is_and_its_gradient_is_beta_times_the_weight(loss_and_gradients):
    batch = two_rows(torch.float64)
    batch.exact_kl = torch.tensor([[0.5, 0.0], [2.0, NAN]], dtype=torch.float64)
    without, _ = loss_and_gradients(batch)
    terms, gradients = loss_and_gradients(batch, beta=0.1, kl_estimator="exact")
    assert terms.kl.tolist() == [[0.5, 0.0], [2.0, 0.0]]
    torch.testing.assert_close(terms.loss - without.loss, torch.tensor(0.1 * (0.5 / 4 + 2.0 / 2), dtype=torch.float64))
    torch.testing.assert_close(gradients["exact_kl"], 0.1 * terms.weights)


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
    dtypes = {value.dtype for value in vars(terms).values() if value.is_floating_point()}
    assert dtypes == {returned}
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
        ({"loss_type": "ppo", "weights": batch_weights("grpo", torch.ones(2, 2))}, "loss_type='ppo'"),
        ({"loss_type": "dr_grpo"}, "max_completion_length"),
        ({"beta": 0.1}, "beta=0.1.*ref_logps is None"),
        ({"kl_estimator": "k4"}, "kl_estimator='k4'.*k1, k2, k3, exact"),
        ({"beta": 0.1, "kl_estimator": "exact"}, "beta=0.1.*exact_kl is None"),
        ({"kl_estimator": "exact", "use_bias_correction_kl": True}, "kl_estimator='exact' cannot go with.*no sample"),
        ({"entropy_coef": 0.1}, "entropy_coef=0.1.*None"),
        ({"top_entropy_quantile": 0.2}, "top_entropy_quantile=0.2.*None"),
        ({"top_entropy_quantile": 1.5}, r"top_entropy_quantile=1.5 is outside \[0, 1\]"),
        ({"loss_type": "sapo", "sapo_temperature_neg": 0.0}, "sapo_temperature_neg=0.0 is not above 0"),
        ({"importance_sampling_level": "word"}, "importance_sampling_level='word'.*token, sequence"),
    ],
)
def test_bad_options_are_named_with_what_is_allowed(options, message):
    batch = two_rows()
    with pytest.raises(ValueError, match=message):
        grpo_loss(batch.logps, batch.old_logps, None, batch.advantages, batch.mask, **options)


def test_dr_grpo_needs_no_length_when_the_weights_are_given():
    batch = two_rows()
    weights = batch_weights("dr_grpo", batch.mask, max_completion_length=4)
    terms = grpo_loss(
        batch.logps, batch.old_logps, None, batch.advantages, batch.mask, loss_type="dr_grpo", weights=weights
    )
    assert torch.equal(terms.weights, weights.loss)


def test_given_weights_count_on_tokens_only_and_bring_their_own_threshold():
    batch = two_rows()
    weights = BatchWeights(
        loss=torch.tensor([[0.25, 0.25], [0.5, NAN]]),
        entropy=torch.tensor([[1.0, 0.0], [0.0, NAN]]),
        high_entropy=torch.tensor([[True, False], [False, True]]),
    )
    terms = grpo_loss(
        batch.logps,
        batch.old_logps,
        None,
        batch.advantages,
        batch.mask,
        top_entropy_quantile=0.5,  # no entropies here: the weights have ranked them
        weights=weights,
    )
    assert terms.loss.isfinite() and terms.weights[1, 1] == 0
    assert terms.kept.tolist() == [[True, False], [False, False]]
