"""Value and gradient against TRL's own code: `GRPOTrainer`'s methods, called unbound on a stub, on made-up tensors."""

import itertools
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.grpo import LOSS_TYPES, BatchWeights, batch_weights

TRL_LOSS_TYPES = [name for name in LOSS_TYPES if name != "online"]  # TRL has no such form
LEVELS = ["token", "sequence"]
CLIPS = [
    {},
    {"epsilon": 0.1, "epsilon_high": 0.28},
    {"epsilon_high": 0.28, "delta": 4.0},
    {"epsilon_high": 5.0},
    {"delta": 1.1},
    {"delta": 0.7},
]
KLS = [{"beta": 0.0}, {"beta": 0.04}, {"beta": 1.0, "use_bias_correction_kl": True}]
MASKS = [
    {},
    {"off_policy_mask_threshold": 0.3},
    {"top_entropy_quantile": 0.4},
    {"off_policy_mask_threshold": 0.05, "top_entropy_quantile": 0.8},
]
SOFT = [
    {},
    {"sapo_temperature_pos": 0.5, "sapo_temperature_neg": 3.0},
    {"vespo_k_pos": 1.5, "vespo_lambda_pos": 0.5, "vespo_k_neg": 0.3, "vespo_lambda_neg": 0.0},
]
BONUSES = [{"entropy_coef": 0.0}, {"entropy_coef": 0.1}, {"entropy_coef": -0.01}]
OPTIONS = st.tuples(*map(st.sampled_from, (CLIPS, KLS, MASKS, SOFT, BONUSES))).map(
    lambda drawn: {name: value for part in drawn for name, value in part.items()}
)
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}


def difference(evaluate, trl_evaluate, batch, trl_options, our_options):
    """Return the worst difference of loss and gradients, relative to the size of the terms summed if that is above 1.

    Size before they cancel: |A| stays below 3 and |log p| below 5, and TRL's `exp(d) - d - 1` is rounded at `exp(d)`,
    ours is not.
    """
    terms, gradients = evaluate(batch, **our_options)
    trl = trl_evaluate(batch, **trl_options)
    scale = terms.ratio.clamp(min=1).maximum(terms.gain)
    size = terms.weights * (15 * scale + 3 * our_options.get("beta", 0.0) * terms.kl)
    in_loss = (terms.loss.detach() - trl.loss).abs() / (1 + size.sum())
    in_gradient = (gradients["logps"] - trl.logps_grad).abs() / (1 + size.sum(dim=1, keepdim=True))
    in_entropies = (gradients["entropies"] - trl.entropies_grad).abs()
    return max(in_loss.item(), in_gradient.max().item(), in_entropies.max().item())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("loss_type", TRL_LOSS_TYPES)
@settings(max_examples=30)
@given(data=st.data(), options=OPTIONS)
def test_loss_and_gradient_are_trls(batches, loss_and_gradients, trl_loss, data, loss_type, level, dtype, options):
    batch = data.draw(batches(dtype=dtype))
    options = {"loss_type": loss_type, "importance_sampling_level": level} | options
    assert difference(loss_and_gradients, trl_loss, batch, options, options) <= TOLERANCE[dtype]


def ordinary_batch(dtype=torch.float64):
    """Return a batch on which every option matters: ratios in and out of the band, a reference, several lengths."""
    generator = torch.Generator().manual_seed(0)
    logps = -torch.rand(8, 5, generator=generator, dtype=torch.float64)
    batch = SimpleNamespace(
        logps=logps,
        old_logps=logps - torch.randn(8, 5, generator=generator, dtype=torch.float64) / 2,
        ref_logps=logps + torch.randn(8, 5, generator=generator, dtype=torch.float64),
        advantages=torch.tensor([1.0, -1.0, 0.5, -2.0, 0.0, 1.5, -0.5, -1.0], dtype=torch.float64),
        entropies=torch.rand(8, 5, generator=generator).double(),
    )
    batch = SimpleNamespace(**{name: value.to(dtype) for name, value in vars(batch).items()})
    batch.mask = torch.arange(5) < torch.tensor([5, 3, 1, 4, 2, 5, 4, 5])[:, None]
    return batch


def rows_of(batch, rows):
    return SimpleNamespace(**{name: tensor[rows] for name, tensor in vars(batch).items()})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("loss_type", TRL_LOSS_TYPES)
def test_on_an_ordinary_batch_nothing_differs_by_more_than_1e_6(loss_and_gradients, trl_loss, loss_type, level, dtype):
    batch = ordinary_batch(dtype)
    kinds = itertools.zip_longest(CLIPS, KLS, MASKS, SOFT, BONUSES, fillvalue={})
    changes = [
        *itertools.product(CLIPS, KLS),
        *itertools.product(MASKS, BONUSES),
        *itertools.product(SOFT, KLS),
        *kinds,
    ]
    for parts in changes:
        options = {"loss_type": loss_type, "importance_sampling_level": level}
        for part in parts:
            options |= part
        terms, gradients = loss_and_gradients(batch, **options)
        trl = trl_loss(batch, **options)
        torch.testing.assert_close(terms.loss.detach(), trl.loss, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(gradients["logps"], trl.logps_grad, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(gradients["entropies"], trl.entropies_grad, rtol=1e-6, atol=1e-6)


ALL_ON = {
    "beta": 0.04,
    "use_bias_correction_kl": True,
    "epsilon": 0.2,
    "epsilon_high": 0.28,
    "delta": 1.5,
    "off_policy_mask_threshold": 0.1,
    "top_entropy_quantile": 0.6,
    "entropy_coef": 0.05,
}


CHANGES = [
    ("grpo", "use_bias_correction_kl", False),
    ("grpo", "beta", 0.05),
    ("grpo", "epsilon", 0.3),
    ("grpo", "epsilon_high", 0.2),
    ("grpo", "delta", None),
    ("grpo", "importance_sampling_level", "sequence"),
    ("grpo", "loss_type", "dr_grpo"),
    ("grpo", "kl_estimator", "k2"),
    ("grpo", "off_policy_mask_threshold", None),
    ("grpo", "top_entropy_quantile", 0.5),
    ("grpo", "entropy_coef", 0.04),
    ("cispo", "epsilon_high", 0.3),
    ("sapo", "sapo_temperature_pos", 1.01),
    ("sapo", "sapo_temperature_neg", 1.06),
    ("vespo", "vespo_k_pos", 2.1),
    ("vespo", "vespo_lambda_pos", 2.9),
    ("vespo", "vespo_k_neg", 2.9),
    ("vespo", "vespo_lambda_neg", 2.1),
]


@pytest.mark.parametrize(("loss_type", "name", "value"), CHANGES)
def test_control_a_flag_that_differs_on_one_side_is_seen(loss_and_gradients, trl_loss, loss_type, name, value):
    batch, options = ordinary_batch(), ALL_ON | {"loss_type": loss_type}
    assert difference(loss_and_gradients, trl_loss, batch, options, options) < 1e-12
    assert difference(loss_and_gradients, trl_loss, batch, options, options | {name: value}) > 1e-5


@pytest.mark.parametrize(("num_micro_batches", "num_windows"), [(1, 1), (2, 1), (4, 1), (1, 2), (2, 2), (1, 4)])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("loss_type", TRL_LOSS_TYPES)
def test_micro_batches_add_up_to_the_mean_of_trls_accumulation_windows(
    loss_and_gradients, trl_loss, loss_type, level, num_micro_batches, num_windows
):
    """TRL cuts a generation batch into windows, an optimizer step each, and these into micro-batches; we take it whole.

    What TRL measures per micro-batch (bnpo's denominator, the entropies' threshold and mean) is joined here by hand.
    """
    batch, num_parts = ordinary_batch(), num_micro_batches * num_windows
    options = {"loss_type": loss_type, "importance_sampling_level": level, "beta": 0.1}
    options |= {"top_entropy_quantile": 0.7, "entropy_coef": 0.1}
    micro_batches = [rows_of(batch, rows) for rows in torch.arange(8).chunk(num_parts)]
    in_trl = [
        trl_loss(
            micro,
            num_micro_batches=num_micro_batches,
            steps_per_generation=num_parts,
            num_items_in_batch=batch.mask.sum(),
            **options,
        )
        for micro in micro_batches
    ]
    parts = [
        batch_weights("bnpo", micro.mask.double(), entropies=micro.entropies, top_entropy_quantile=0.7)
        for micro in micro_batches
    ]
    joined = {name: torch.cat([getattr(part, name) for part in parts]) for name in vars(parts[0])}
    whole = batch_weights(loss_type, batch.mask.double(), max_completion_length=7)
    weights = BatchWeights(
        loss=joined["loss"] / num_parts if loss_type == "bnpo" else whole.loss,
        entropy=joined["entropy"] / num_parts,
        high_entropy=joined["high_entropy"],
    )
    terms, gradients = loss_and_gradients(batch, weights=weights, **options)
    loss = sum(trl.loss for trl in in_trl) / num_windows
    torch.testing.assert_close(terms.loss.detach(), loss, rtol=1e-9, atol=1e-12)
    for name, ours in (("logps_grad", gradients["logps"]), ("entropies_grad", gradients["entropies"])):
        theirs = torch.cat([getattr(trl, name) for trl in in_trl]) / num_windows
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
