"""Value and gradient against TRL's own code: `GRPOTrainer`'s methods, called unbound on a stub with fabricated tensors."""

from collections import defaultdict
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.grpo import clip_high, clip_low, frac_reward_zero_std, group_advantages, logps_and_entropy, token_weights

grpo_trainer = pytest.importorskip("trl.trainer.grpo_trainer", reason="TRL is not installed: nothing to compare with")
trl_utils = pytest.importorskip("trl.trainer.utils")

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


def relative_difference(ours, theirs, scale):
    return ((ours - theirs).abs() / (1 + scale)).max().item()


def difference(loss_and_gradient, batch, trl_options, our_options):
    """Return the worst difference of loss and gradient, relative to the size of what is summed where that is above 1."""
    terms, gradient = loss_and_gradient(batch, **our_options)
    trl_loss, trl_gradient, _ = trl_loss_and_gradient(batch, **trl_options)
    in_loss = 20 * terms.ratio.abs() + our_options.get("beta", 0.0) * terms.kl.abs()  # |A| + A's clip stay below 20
    in_gradient = trl_gradient.abs().sum(dim=1, keepdim=True)
    return max(
        relative_difference(terms.loss.detach(), trl_loss, (terms.weights * in_loss).sum()),
        relative_difference(gradient, trl_gradient, in_gradient),
    )


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
    """Return a batch on which every option makes a difference: ratios in and out of the band, a reference, two lengths."""
    generator = torch.Generator().manual_seed(0)
    logps = -torch.rand(4, 5, generator=generator, dtype=torch.float64)
    return SimpleNamespace(
        logps=logps,
        old_logps=logps - torch.randn(4, 5, generator=generator, dtype=torch.float64),
        ref_logps=logps + torch.randn(4, 5, generator=generator, dtype=torch.float64),
        advantages=torch.tensor([1.0, -1.0, 0.5, -2.0], dtype=torch.float64),
        mask=torch.arange(5) < torch.tensor([5, 3, 1, 4])[:, None],
    )


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
@given(data=st.data(), clip=st.sampled_from(CLIPS), use_bias_correction_kl=st.booleans())
def test_the_metrics_kl_and_clip_ratio_are_trls(batches, loss_and_gradient, data, level, clip, use_bias_correction_kl):
    batch = data.draw(batches(max_log_ratio=5.0))
    options = {"beta": 0.1, "importance_sampling_level": level, "use_bias_correction_kl": use_bias_correction_kl}
    terms, _ = loss_and_gradient(batch, **options | clip)
    *_, metrics = trl_loss_and_gradient(batch, **options | clip)

    def token_mean(values):
        return (values * batch.mask).sum() / batch.mask.sum().clamp(min=1)

    epsilon, delta = clip.get("epsilon", 0.2), clip.get("delta")
    low = clip_low(terms.ratio, batch.advantages, epsilon, delta)
    high = clip_high(terms.ratio, batch.advantages, clip.get("epsilon_high", epsilon), delta)
    expected = {"kl": token_mean(terms.kl)}
    if level == "token":
        expected |= {"clip_ratio/low_mean": token_mean(low), "clip_ratio/high_mean": token_mean(high)}
        expected |= {"clip_ratio/region_mean": token_mean(low | high)}
    elif batch.advantages.dim() == 1 and batch.mask.any(dim=1).all():  # then TRL takes one value a row, the mean over B
        low, high = (low & batch.mask).any(dim=1).double(), (high & batch.mask).any(dim=1).double()
        expected |= {"clip_ratio/low_mean": low.mean(), "clip_ratio/high_mean": high.mean()}
    for name, value in expected.items():
        torch.testing.assert_close(value.item(), float(metrics[name]), rtol=1e-9, atol=1e-9)


def trl_advantages(rewards, num_generations, scale_rewards):
    """Return the advantages and the metrics of TRL's `_generate_and_score_completions`, given the rewards as scored."""
    size = len(rewards)
    trainer = SimpleNamespace(
        accelerator=SimpleNamespace(device=torch.device("cpu"), gather=lambda x: x, process_index=0),
        model=SimpleNamespace(training=True, is_gradient_checkpointing=False),
        args=SimpleNamespace(
            per_device_train_batch_size=size,
            steps_per_generation=1,
            gradient_accumulation_steps=1,
            gradient_checkpointing_kwargs=None,
        ),
        _generate=lambda prompts: ([[1]] * size, [[1]] * size, None, [""] * size, None, {}, None, None),
        _calculate_rewards=lambda *inputs: rewards.clone()[:, None],
        _tokenizer=SimpleNamespace(pad_token_id=0),
        reward_weights=torch.ones(1, dtype=rewards.dtype),
        reward_funcs=[None],
        reward_func_names=["score"],
        environment_factories=None,
        environments=None,
        tools=None,
        pad_to_multiple_of=None,
        mask_truncated_completions=False,
        num_iterations=1,
        use_vllm=False,
        beta=0.0,
        num_generations=num_generations,
        multi_objective_aggregation="sum_then_normalize",
        scale_rewards=scale_rewards,
        _metrics={"train": defaultdict(list)},
        _logs={"rewards": defaultdict(list), "extra": {}, "prompt": [], "completion": [], "advantages": []},
        _pending_extra_logs={},
        _pending_metrics={},
    )
    inputs = [{"prompt": ""}] * size
    output = grpo_trainer.GRPOTrainer._generate_and_score_completions(trainer, inputs)
    return output["advantages"], trainer._metrics["train"]


@pytest.mark.parametrize("scale_rewards", ["group", "batch", "none"])
@settings(max_examples=60)
@given(data=st.data(), num_groups=st.integers(1, 3), num_generations=st.integers(2, 4))
def test_advantages_and_zero_std_share_are_trls(data, scale_rewards, num_groups, num_generations):
    reward = st.sampled_from([0.0, 1.0, 0.5, -2.0, float("nan")]) | st.floats(-10.0, 10.0).map(lambda r: round(r, 3))
    size = num_groups * num_generations
    rewards = torch.tensor(data.draw(st.lists(reward, min_size=size, max_size=size)), dtype=torch.float64)
    advantages, metrics = trl_advantages(rewards, num_generations, scale_rewards)
    ours = group_advantages(rewards, num_generations, scale_rewards=scale_rewards)
    torch.testing.assert_close(ours, advantages, rtol=1e-9, atol=1e-9)
    share = frac_reward_zero_std(rewards, num_generations, scale_rewards=scale_rewards)
    torch.testing.assert_close(share.item(), metrics["frac_reward_zero_std"][0], rtol=1e-6, atol=1e-6)


@given(seed=st.integers(0, 1000), temperature=st.floats(0.3, 3.0))
def test_logps_and_entropy_are_trls(seed, temperature):
    logits = 3 * torch.randn(2, 3, 11, generator=torch.Generator().manual_seed(seed))
    ids = torch.arange(6).view(2, 3)
    logps, entropy = logps_and_entropy(logits, ids, temperature)
    torch.testing.assert_close(logps, trl_utils.selective_log_softmax(logits / temperature, ids), rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(entropy, trl_utils.entropy_from_logits(logits / temperature), rtol=1e-5, atol=1e-5)
