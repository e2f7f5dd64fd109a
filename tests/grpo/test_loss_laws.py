"""Laws of the loss that hold for every loss type and option, drawn by hypothesis."""

from types import SimpleNamespace

import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from workbench.grpo import (
    CLIPPED_LOSS_TYPES,
    KL_ESTIMATORS,
    LOSS_TYPES,
    batch_weights,
    clipped_surrogate,
    group_advantages,
    token_weights,
)

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
        "off_policy_mask_threshold": st.sampled_from([None, 0.5]),
        "top_entropy_quantile": st.sampled_from([1.0, 0.4]),
        "entropy_coef": st.sampled_from([0.0, 0.1]),
    }
)
EXACT = st.just({"kl_estimator": "exact", "use_bias_correction_kl": False})
OPTIONS = st.tuples(OPTIONS, st.just({}) | EXACT).map(lambda both: both[0] | both[1])
TIGHT = {"rtol": 1e-9, "atol": 1e-12}


def with_rows(batch, rows):
    return SimpleNamespace(**{name: tensor[rows] for name, tensor in vars(batch).items()})


@given(data=st.data(), options=OPTIONS, loss_type=st.sampled_from(CLIPPED_LOSS_TYPES))
def test_the_loss_is_the_composition_of_its_parts(batches, loss_and_gradient, data, options, loss_type):
    batch = data.draw(batches(max_log_ratio=5.0))
    terms, _ = loss_and_gradient(batch, **options | {"loss_type": loss_type})
    surrogate = clipped_surrogate(
        terms.ratio, batch.advantages, epsilon_high=options["epsilon_high"], delta=options["delta"]
    )
    per_token = options["beta"] * terms.kl - terms.kept * surrogate
    torch.testing.assert_close(terms.token_losses, terms.weights * per_token, **TIGHT)
    high_entropy = batch_weights(
        loss_type,
        batch.mask,
        entropies=batch.entropies,
        top_entropy_quantile=options["top_entropy_quantile"],
        max_completion_length=7,
    ).high_entropy
    mean_entropy = batch.entropies[high_entropy].mean() if high_entropy.any() else 0.0
    torch.testing.assert_close(terms.entropy_bonus.item(), float(options["entropy_coef"] * mean_entropy), **TIGHT)
    torch.testing.assert_close(terms.loss.detach(), terms.token_losses.sum() - terms.entropy_bonus, **TIGHT)
    assert torch.equal(terms.weights, token_weights(loss_type, batch.mask.double(), 7))


@given(data=st.data(), options=OPTIONS)
def test_whatever_padding_holds_it_never_changes_value_gradient_or_terms(batches, loss_and_gradients, data, options):
    batch = data.draw(batches())
    garbage = st.sampled_from([NAN, INF, -INF, 1e30, -1e30])
    dirty = SimpleNamespace(**vars(batch))
    names = ["logps", "old_logps", "ref_logps", "entropies", "exact_kl"] + (
        ["advantages"] if batch.advantages.dim() == 2 else []
    )
    for name in names:
        setattr(dirty, name, getattr(batch, name).masked_fill(~batch.mask, data.draw(garbage)))
    clean_terms, clean_gradients = loss_and_gradients(batch, **options)
    dirty_terms, dirty_gradients = loss_and_gradients(dirty, **options)
    for name, clean_value in vars(clean_terms).items():
        assert torch.equal(clean_value, getattr(dirty_terms, name)), name
    for name, clean_gradient in clean_gradients.items():
        assert torch.equal(clean_gradient, dirty_gradients[name]), name
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
def test_micro_batches_with_the_weights_of_the_batch_add_up_to_it(batches, loss_and_gradients, data, options):
    batch = data.draw(batches(max_log_ratio=5.0))
    cut = data.draw(st.integers(0, len(batch.logps)))
    assume(0 < cut < len(batch.logps))
    order = torch.tensor(data.draw(st.permutations(range(len(batch.logps)))))
    weights = batch_weights(
        options["loss_type"],
        batch.mask.double(),
        max_completion_length=7,
        entropies=batch.entropies,
        top_entropy_quantile=options["top_entropy_quantile"],
    )
    terms, gradients = loss_and_gradients(batch, **options)
    num_columns, loss = batch.mask.shape[1], 0.0
    for rows in (order[:cut], order[cut:]):
        longest = max([1, *(1 + int(row.nonzero().max()) for row in batch.mask[rows] if row.any())])
        micro = SimpleNamespace(
            **{
                name: tensor[rows, :longest] if tensor.dim() == 2 else tensor[rows]
                for name, tensor in vars(batch).items()
            }
        )
        micro_terms, micro_gradients = loss_and_gradients(micro, weights=weights.rows(rows, longest), **options)
        loss = loss + micro_terms.loss
        for name, gradient in micro_gradients.items():
            widened = torch.nn.functional.pad(gradient, (0, num_columns - longest))
            torch.testing.assert_close(widened, gradients[name][rows], **TIGHT)
    torch.testing.assert_close(loss, terms.loss, **TIGHT)


@given(
    data=st.data(),
    loss_type=st.sampled_from(LOSS_TYPES),
    level=st.sampled_from(["token", "sequence"]),
    num_generations=st.integers(2, 4),
)
def test_on_policy_the_gradient_is_reinforce_with_the_group_mean_as_baseline(
    batches, loss_and_gradient, data, loss_type, level, num_generations
):
    batch = data.draw(batches(min_rows=num_generations, max_rows=num_generations, max_log_ratio=1.0))
    rewards = torch.tensor(
        data.draw(st.lists(st.floats(-2, 2), min_size=num_generations, max_size=num_generations)), dtype=torch.float64
    )
    batch.advantages = group_advantages(rewards, num_generations, scale_rewards="none")
    batch.old_logps = batch.logps
    cap = {"epsilon_high": 5.0} if loss_type == "cispo" else {}
    terms, gradient = loss_and_gradient(batch, loss_type=loss_type, importance_sampling_level=level, **cap)
    logps = batch.logps.clone().requires_grad_()
    (-terms.weights * (rewards - rewards.mean())[:, None] * logps).sum().backward()
    assert torch.equal(terms.ratio, torch.ones_like(terms.ratio))
    torch.testing.assert_close(gradient, logps.grad, **TIGHT)


@given(data=st.data(), options=OPTIONS)
def test_in_the_first_update_the_online_form_has_the_gradient_of_the_clipped_one(
    batches, loss_and_gradients, data, options
):
    batch = data.draw(batches(max_log_ratio=5.0))
    batch.old_logps = batch.logps
    options = options | {"delta": None}  # a delta below 1 cuts the ratio 1
    _, online = loss_and_gradients(batch, **options | {"loss_type": "online"})
    _, clipped = loss_and_gradients(batch, **options | {"loss_type": "grpo"})
    for name in online:
        torch.testing.assert_close(online[name], clipped[name], **TIGHT)


@given(data=st.data(), level=st.sampled_from(["token", "sequence"]))
def test_the_online_form_never_learns_from_the_old_policy(batches, loss_and_gradient, data, level):
    batch = data.draw(batches(max_log_ratio=5.0))
    options = {"loss_type": "online", "importance_sampling_level": level}
    _, gradient = loss_and_gradient(batch, **options)
    batch.old_logps = batch.logps
    _, on_policy_gradient = loss_and_gradient(batch, **options)
    assert torch.equal(gradient, on_policy_gradient)


@given(data=st.data(), options=OPTIONS, reward=st.floats(-5, 5))
def test_equal_rewards_give_no_gradient_on_any_token_at_beta_zero(batches, loss_and_gradient, data, options, reward):
    batch = data.draw(batches(min_rows=4, max_rows=4))
    batch.advantages = group_advantages(torch.full((4,), reward, dtype=torch.float64), 2)
    _, gradient = loss_and_gradient(batch, **options | {"beta": 0.0})
    assert not gradient.any()


@given(data=st.data(), options=OPTIONS)
def test_clipped_tokens_are_those_whose_gradient_is_zero(batches, loss_and_gradient, data, options):
    batch = data.draw(batches(max_log_ratio=1.2))  # far outside, the soft weights are 0 in floating point
    if options["importance_sampling_level"] == "sequence":  # tokens that share a ratio share a fate
        batch.advantages = batch.advantages if batch.advantages.dim() == 1 else batch.advantages[:, 0]
        options["top_entropy_quantile"] = 1.0
    terms, gradient = loss_and_gradient(batch, **options | {"beta": 0.0})
    advantages = batch.advantages if batch.advantages.dim() == 2 else batch.advantages[:, None]
    assert torch.equal(terms.clipped, (gradient == 0) & (advantages != 0) & terms.kept)
    assert options["loss_type"] in CLIPPED_LOSS_TYPES or not terms.clipped.any()


@given(data=st.data(), options=OPTIONS)
def test_dropped_tokens_feel_the_kl_and_nothing_else(batches, loss_and_gradient, data, options):
    batch = data.draw(batches(max_log_ratio=3.0))
    options |= {"importance_sampling_level": "token", "off_policy_mask_threshold": 0.1, "top_entropy_quantile": 0.5}
    terms, gradient = loss_and_gradient(batch, **options)
    batch.advantages = torch.zeros_like(batch.advantages)
    _, of_kl = loss_and_gradient(batch, **options)
    dropped = ~terms.kept
    torch.testing.assert_close(gradient[dropped], of_kl[dropped], **TIGHT)


@given(data=st.data(), options=OPTIONS)
def test_the_terms_of_padding_are_ratio_one_and_all_else_zero(batches, loss_and_gradient, data, options):
    batch = data.draw(batches(max_log_ratio=5.0))
    terms, _ = loss_and_gradient(batch, **options)
    for name, value in vars(terms).items():
        if value.dim() == 2:
            assert (value[~batch.mask] == (name == "ratio")).all(), name
