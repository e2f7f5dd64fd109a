"""Value and gradient against TRL's own code: `GRPOTrainer`'s methods, called unbound on a stub, on made-up tensors."""

import itertools
from collections import defaultdict
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.grpo import clip_high, clip_low, token_weights

grpo_trainer = pytest.importorskip("trl.trainer.grpo_trainer", reason="TRL is not installed: nothing to compare with")

MAX_COMPLETION_LENGTH = 7  # what `loss_and_gradient` divides dr_grpo by
LOSS_TYPES = ["grpo", "bnpo", "dr_grpo", "dapo"]
LEVELS = ["token", "sequence"]
CLIPS = [
    {},
    {"epsilon": 0.1, "epsilon_high": 0.28},
    {"epsilon_high": 0.28, "delta": 4.0},
    {"delta": 1.1},
    {"delta": 0.7},
]
KLS = [{"beta": 0.0}, {"beta": 0.04}, {"beta": 1.0, "use_bias_correction_kl": True}]
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}


def stub_trainer(*, loss_type="grpo", beta=0.0, epsilon=0.2, epsilon_high=None, delta=None, **others):
    """Return what `_compute_loss` reads of a trainer: one process, in training, no vLLM, no entropy bonus."""
    return SimpleNamespace(
        loss_type=loss_type,
        beta=beta,
        epsilon_low=epsilon,
        epsilon_high=epsilon if epsilon_high is None else epsilon_high,
        importance_sampling_level=others.get("importance_sampling_level", "token"),
        max_completion_length=MAX_COMPLETION_LENGTH,
        current_gradient_accumulation_steps=others.get("num_micro_batches", 1),
        args=SimpleNamespace(
            delta=delta,
            use_bias_correction_kl=others.get("use_bias_correction_kl", False),
            steps_per_generation=others.get("num_micro_batches", 1),
        ),
        accelerator=SimpleNamespace(num_processes=1, gather=lambda x: x, reduce=lambda x, reduction: x),
        model=SimpleNamespace(training=True),
        aux_loss_enabled=False,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        use_vllm=False,
        _entropy_bonus_enabled=False,
        _metrics={"train": defaultdict(list)},
    )


def trl_loss_and_gradient(batch, *, num_items_in_batch=None, **options):
    """Return TRL's loss, its gradient on the log-probabilities, and the metrics it logged."""
    trainer = stub_trainer(**options)
    logps, mask = batch.logps.clone().requires_grad_(), batch.mask.to(batch.logps.dtype)
    trainer._get_per_token_logps_and_entropies = lambda *args, **kwargs: (logps, torch.zeros_like(logps), None)
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
    loss = grpo_trainer.GRPOTrainer._compute_loss(trainer, None, inputs)
    loss.backward()
    return loss.detach(), logps.grad, {name: values[0] for name, values in trainer._metrics["train"].items()}


def difference(loss_and_gradient, batch, trl_options, our_options):
    """Return the worst difference of loss and gradient, relative to the size of the terms summed where that is above 1.

    Size before they cancel: |A| stays below 3, and TRL's `exp(d) - d - 1` is rounded at `exp(d)`, ours is not.
    """
    terms, gradient = loss_and_gradient(batch, **our_options)
    trl_loss, trl_gradient, _ = trl_loss_and_gradient(batch, **trl_options)
    size = terms.weights * (10 * terms.ratio.clamp(min=1) + 3 * our_options.get("beta", 0.0) * terms.kl)
    in_loss = (terms.loss.detach() - trl_loss).abs() / (1 + size.sum())
    in_gradient = (gradient - trl_gradient).abs() / (1 + size.sum(dim=1, keepdim=True))
    return max(in_loss.item(), in_gradient.max().item())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("loss_type", LOSS_TYPES)
@settings(max_examples=60)
@given(data=st.data(), clip=st.sampled_from(CLIPS), kl=st.sampled_from(KLS))
def test_loss_and_gradient_are_trls(batches, loss_and_gradient, data, loss_type, level, dtype, clip, kl):
    batch = data.draw(batches(dtype=dtype))
    options = {"loss_type": loss_type, "importance_sampling_level": level} | clip | kl
    assert difference(loss_and_gradient, batch, options, options) <= TOLERANCE[dtype]


def ordinary_batch():
    """Return a batch on which every option matters: ratios in and out of the band, a reference, several lengths."""
    generator = torch.Generator().manual_seed(0)
    logps = -torch.rand(4, 5, generator=generator, dtype=torch.float64)
    return SimpleNamespace(
        logps=logps,
        old_logps=logps - torch.randn(4, 5, generator=generator, dtype=torch.float64),
        ref_logps=logps + torch.randn(4, 5, generator=generator, dtype=torch.float64),
        advantages=torch.tensor([1.0, -1.0, 0.5, -2.0], dtype=torch.float64),
        mask=torch.arange(5) < torch.tensor([5, 3, 1, 4])[:, None],
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_on_an_ordinary_batch_nothing_differs_by_more_than_1e_6(loss_and_gradient, loss_type, level, dtype):
    batch = ordinary_batch()
    for name in ("logps", "old_logps", "ref_logps", "advantages"):
        setattr(batch, name, getattr(batch, name).to(dtype))
    for clip, kl in itertools.product(CLIPS, KLS):
        options = {"loss_type": loss_type, "importance_sampling_level": level} | clip | kl
        terms, gradient = loss_and_gradient(batch, **options)
        trl_loss, trl_gradient, _ = trl_loss_and_gradient(batch, **options)
        torch.testing.assert_close(terms.loss.detach(), trl_loss, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(gradient, trl_gradient, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "changed",
    [
        {"use_bias_correction_kl": False},
        {"beta": 0.05},
        {"epsilon": 0.3},
        {"epsilon_high": 0.2},
        {"delta": None},
        {"importance_sampling_level": "sequence"},
        {"loss_type": "dr_grpo"},
        {"kl_estimator": "k2"},
    ],
)
def test_control_a_flag_that_differs_on_one_side_is_seen(loss_and_gradient, changed):
    batch = ordinary_batch()
    options = {"beta": 0.04, "use_bias_correction_kl": True, "epsilon": 0.2, "epsilon_high": 0.28, "delta": 1.5}
    assert difference(loss_and_gradient, batch, options, options) < 1e-12
    assert difference(loss_and_gradient, batch, options, options | changed) > 1e-5


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_micro_batches_add_up_to_trls_gradient_accumulation(loss_and_gradient, loss_type, level):
    batch = ordinary_batch()
    options = {"loss_type": loss_type, "importance_sampling_level": level, "beta": 0.1}
    halves = [
        SimpleNamespace(**{name: tensor[rows] for name, tensor in vars(batch).items()})
        for rows in (slice(0, 2), slice(2, 4))
    ]
    in_trl = [
        trl_loss_and_gradient(half, num_micro_batches=2, num_items_in_batch=batch.mask.sum(), **options)
        for half in halves
    ]
    if loss_type == "bnpo":  # the one whose denominator TRL takes from the micro-batch
        weights = torch.cat([token_weights("bnpo", half.mask) / 2 for half in halves])
    else:
        weights = token_weights(loss_type, batch.mask.double(), MAX_COMPLETION_LENGTH)
    terms, gradient = loss_and_gradient(batch, weights=weights, **options)
    torch.testing.assert_close(terms.loss.detach(), sum(loss for loss, _, _ in in_trl), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gradient, torch.cat([half_gradient for _, half_gradient, _ in in_trl]))


@pytest.mark.parametrize("level", LEVELS)
@settings(max_examples=60)
@given(data=st.data(), clip=st.sampled_from(CLIPS[:-1]), use_bias_correction_kl=st.booleans())
def test_the_metrics_kl_and_clip_ratio_are_trls(batches, loss_and_gradient, data, level, clip, use_bias_correction_kl):
    batch = data.draw(
        batches(min_tokens=2, max_log_ratio=5.0)
    )  # TRL takes T = 1 for one value a row, and drops the mask
    options = {"beta": 0.1, "importance_sampling_level": level, "use_bias_correction_kl": use_bias_correction_kl} | clip
    terms, _ = loss_and_gradient(batch, **options)
    *_, metrics = trl_loss_and_gradient(batch, **options)
    mask, is_row_metric = batch.mask.double(), level == "sequence" and batch.advantages.dim() == 1

    def mean(values):
        if is_row_metric and values.dtype == torch.bool:  # one value a row, and every row counts
            return (values & batch.mask).any(dim=1).double().mean().item()
        return ((values * mask).sum() / mask.sum().clamp(min=1)).item()

    epsilon, delta = clip.get("epsilon", 0.2), clip.get("delta")
    low = clip_low(terms.ratio, batch.advantages, epsilon, delta)
    high = clip_high(terms.ratio, batch.advantages, clip.get("epsilon_high", epsilon), delta)
    ours = [mean(terms.kl), mean(low), mean(high), mean(low | high)]
    names = ["kl", "clip_ratio/low_mean", "clip_ratio/high_mean", "clip_ratio/region_mean"]
    assert ours == pytest.approx([metrics[name] for name in names], rel=1e-6, abs=1e-9)
