"""TRL's metrics, computed a second time with NumPy from what the record shows of each completion."""

import warnings

import numpy as np
import pytest

from tests.engine.arrays import completions_of, run_steps, tokens_of
from tests.engine.learners import make_learner, take_step
from workbench.engine.metrics import finite_or_none
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs
from workbench.run.metrics import METRICS

KNOBS = Knobs(
    num_generations=4,
    max_completion_length=10,
    num_iterations=3,
    learning_rate=0.03,
    beta=0.1,
    epsilon=0.1,
    epsilon_high=0.15,
)
CASES = {
    "grpo": KNOBS,
    "sequence": KNOBS.changed({"importance_sampling_level": "sequence", "epsilon": 0.01, "epsilon_high": 0.01}),
    "delta": KNOBS.changed({"delta": 1.1, "kl_estimator": "k2"}),
    "dr_grpo": KNOBS.changed({"loss_type": "dr_grpo", "scale_rewards": "batch", "kl_estimator": "k1"}),
    "dapo": KNOBS.changed({"loss_type": "dapo", "scale_rewards": "none", "epsilon_high": None}),
    "rloo": KNOBS.changed({"advantage_estimator": "rloo", "scale_rewards": "batch"}),
    "bnpo": KNOBS.changed({"loss_type": "bnpo", "temperature": 0.6}),
}


def length_share(prompts, completions, completion_ids, **columns):
    return [len(ids) / 10 for ids in completion_ids]


def sometimes(prompts, completions, completion_ids, **columns):
    return [None if ids[0] % 3 == 0 else float(ids[0] % 2) for ids in completion_ids]


@pytest.fixture(scope="module", params=CASES)
def record(request, llama_folder):
    config = RunConfig(
        model=str(llama_folder),
        prompts_per_step=3,
        device="cpu",
        reward_weights=(1.0, 0.5),
        max_steps=2,
        micro_batch_size=5,
    )
    return run_steps(config, CASES[request.param], 2, reward_funcs=[length_share, sometimes])[-1]


def close(value: float | None, expected: float, tolerance: float = 2e-5) -> bool:
    return value is not None and abs(value - expected) <= tolerance * max(1.0, abs(expected))


def nan_std(values: np.ndarray) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(np.nanstd(values, ddof=1))


def rewards_of(record) -> np.ndarray:
    return np.array([np.nan if c.reward is None else c.reward for c in completions_of(record)], dtype=float)


def test_the_reward_metrics_are_means_and_standard_deviations_over_the_whole_step(record):
    rewards, m = rewards_of(record), record.metrics
    assert close(m["reward"], np.nanmean(rewards)) and close(m["reward_std"], nan_std(rewards))
    for name in ("length_share", "sometimes"):
        values = np.array([np.nan if c.rewards[name] is None else c.rewards[name] for c in completions_of(record)])
        assert close(m[f"rewards/{name}/mean"], np.nanmean(values.astype(float)))
        assert close(m[f"rewards/{name}/std"], nan_std(values.astype(float)))


def test_the_share_of_dead_groups_counts_standard_deviations_of_0(record):
    groups = rewards_of(record).reshape(3, 4)
    is_batch = record.knobs.scale_rewards == "batch" and record.knobs.advantage_estimator == "grpo"
    stds = [nan_std(groups)] if is_batch else [nan_std(group) for group in groups]
    assert record.metrics["frac_reward_zero_std"] == pytest.approx(np.mean(np.isclose(stds, 0)))


def test_the_advantages_are_the_centred_rewards_over_the_standard_deviation(record):
    groups = rewards_of(record).reshape(3, 4)
    centred = groups - np.nanmean(groups, axis=1, keepdims=True)
    std = {
        "group": np.array([[nan_std(group)] for group in groups]),
        "batch": np.array([[nan_std(groups)]]),
        "none": np.array([[1.0 - 1e-4]]),
    }[record.knobs.scale_rewards]
    divisor = std + 1e-4
    if record.knobs.advantage_estimator == "rloo":  # minus the mean of the others: n / (n − 1) times as far from it
        divisor = 1 - 1 / (~np.isnan(groups)).sum(axis=1, keepdims=True)
    expected = np.nan_to_num(centred / divisor, posinf=0.0).ravel()
    np.testing.assert_allclose([c.advantage for c in completions_of(record)], expected, atol=1e-5)


def test_the_lengths_are_counted_over_all_and_over_those_that_ended(record):
    completions, m = list(completions_of(record)), record.metrics
    lengths = np.array([len(c.token_ids) for c in completions])
    truncated = np.array([1 not in c.token_ids for c in completions])  # 1: the end token
    ended = lengths[~truncated] if (~truncated).any() else np.zeros(1)
    assert close(m["completions/clipped_ratio"], truncated.mean())
    for name, values in (("length", lengths), ("terminated_length", ended)):
        assert close(m[f"completions/mean_{name}"], values.mean())
        assert (m[f"completions/min_{name}"], m[f"completions/max_{name}"]) == (values.min(), values.max())


def shares(record, k: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the flags of TRL's low and high clip metric for each completion, at inner update k."""
    knobs = record.knobs
    high_end = 1 + (knobs.epsilon if knobs.epsilon_high is None else knobs.epsilon_high)
    low, high = [], []
    for c in completions_of(record):
        ratio = np.minimum(c.ratio_by_update[k], np.inf if knobs.delta is None else knobs.delta)
        low.append((ratio < 1 - knobs.epsilon) & (c.advantage < 0))
        high.append((ratio > high_end) & (c.advantage > 0))
    return low, high


def test_the_clip_metrics_are_trls(record):
    is_sequence = record.knobs.importance_sampling_level == "sequence"
    expected = {name: [] for name in ("low_mean", "low_min", "high_mean", "high_max", "region_mean")}
    for k in range(3):
        low, high = shares(record, k)
        region = [a | b for a, b in zip(low, high, strict=True)]

        def mean(flags):
            return np.mean([f[0] for f in flags]) if is_sequence else np.concatenate(flags).mean()

        expected["low_mean"].append(mean(low))
        expected["high_mean"].append(mean(high))
        expected["region_mean"].append(mean(region))
        expected["low_min"].append(min(f.mean() for f in low))
        expected["high_max"].append(max(f.mean() for f in high))
        for name, flags in (("low", low), ("high", high), ("region", region)):
            assert close(record.updates[k][f"clip_ratio/{name}_mean"], mean(flags))
    for name, values in expected.items():
        assert close(record.metrics[f"clip_ratio/{name}"], np.mean(values)), name
    assert record.updates[0]["clip_ratio/region_mean"] == 0
    if record.knobs.delta is None:
        assert record.metrics["clip_ratio/region_mean"] > 0, "something was clipped, or this proves little"


def test_kl_and_entropy_are_means_over_all_tokens_of_the_step(record):
    kl = [tokens_of(record, lambda c, k=k: c.kl_by_update[k]).mean() for k in range(3)]
    assert close(record.metrics["kl"], np.mean(kl))
    for k in range(3):
        assert close(record.updates[k]["kl"], kl[k])
        ratio = tokens_of(record, lambda c, k=k: c.ratio_by_update[k])
        assert close(record.updates[k]["ratio_min"], ratio.min()) and close(record.updates[k]["ratio_max"], ratio.max())
        assert close(record.updates[k]["outside"], tokens_of(record, lambda c, k=k: c.outside_by_update[k]).mean())
        assert close(
            record.updates[k]["zero_gradient"], tokens_of(record, lambda c, k=k: c.clipped_by_update[k]).mean()
        )
        assert close(record.updates[k]["logp_mean"], tokens_of(record, lambda c, k=k: c.logps_by_update[k]).mean())
    assert close(record.updates[0]["entropy"], tokens_of(record, lambda c: c.entropy).mean(), 1e-4)


def test_the_loss_is_the_formula_of_the_averaging(record):
    knobs = record.knobs
    high_end = 1 + (knobs.epsilon if knobs.epsilon_high is None else knobs.epsilon_high)
    for k in range(3):
        rows = []
        for c in completions_of(record):
            ratio = c.ratio_by_update[k].astype(float)
            capped = np.minimum(ratio, np.inf if knobs.delta is None else knobs.delta)
            surrogate = np.minimum(capped * c.advantage, np.clip(ratio, 1 - knobs.epsilon, high_end) * c.advantage)
            rows.append(-surrogate + knobs.beta * c.kl_by_update[k])
        num_tokens = sum(map(len, rows))
        loss = {
            "grpo": np.mean([row.mean() for row in rows]),
            "dr_grpo": sum(row.sum() for row in rows) / (len(rows) * knobs.max_completion_length),
            "dapo": sum(row.sum() for row in rows) / num_tokens,
            "bnpo": sum(row.sum() for row in rows) / num_tokens,
        }[knobs.loss_type]
        assert close(record.updates[k]["loss"], loss)
    assert close(record.metrics["loss"], np.mean([update["loss"] for update in record.updates]))
    assert close(record.metrics["grad_norm"], np.mean([update["grad_norm"] for update in record.updates]))


def test_the_tokens_are_counted_from_the_first_step_on(record):
    counted = sum(len(g.prompt) * 4 + sum(len(c.token_ids) for c in g.completions) for g in record.groups)
    assert record.step == 2 and counted < record.metrics["num_tokens"] < 3 * counted


def test_every_metric_is_in_the_table_that_explains_them(record):
    assert {name for name in record.metrics if not name.startswith("rewards/")} <= METRICS.keys()


def test_what_is_not_finite_is_none():
    scalars = {"a": 1.5, "b": float("nan"), "c": float("inf"), "d": -float("inf")}
    assert finite_or_none(scalars) == {"a": 1.5, "b": None, "c": None, "d": None}


ALL_LEFT_OUT = KNOBS.changed({"mask_truncated_completions": True, "max_completion_length": 1, "entropy_coef": 0.01})
NOTHING_LEFT = {
    "token": ({}, ["clip_ratio/low_mean", "clip_ratio/low_min", "clip_ratio/high_max", "clip_ratio/region_mean"]),
    "sequence": ({"importance_sampling_level": "sequence"}, ["clip_ratio/high_mean", "clip_ratio/region_mean"]),
    "cispo": ({"loss_type": "cispo", "epsilon_high": 5.0}, ["cispo_clip_ratio"]),
    "vespo": ({"loss_type": "vespo"}, ["vespo/phi_seq_mean"]),
}


@pytest.mark.parametrize("case", NOTHING_LEFT)
def test_where_every_completion_is_left_out_nothing_is_measured_rather_than_measured_to_be_0(make_config, case):
    knobs, clip = NOTHING_LEFT[case]
    records = run_steps(make_config(max_steps=40), ALL_LEFT_OUT.changed(knobs))
    record = next(r for r in records if all(c.is_truncated for c in completions_of(r)))
    for name in ("kl", "entropy", *clip):
        assert record.metrics[name] is None and all(update[name] is None for update in record.updates), name
    for name in ("logp_mean", "zero_gradient", "outside", "ratio_min", "ratio_max"):
        assert all(update[name] is None for update in record.updates), name
    assert record.metrics["loss"] == record.metrics["grad_norm"] == 0
    assert all((c.kl > 0).any() for c in completions_of(record)) or record.step == 1


@pytest.mark.parametrize("knobs", [{"scale_rewards": "batch"}, {"advantage_estimator": "gdpo"}], ids=str)
@pytest.mark.parametrize("method", ["ppo", "dpo", "online_rft", "rft"])
def test_the_share_of_dead_groups_is_of_groups_where_the_method_looks_at_no_estimator(make_config, method, knobs):
    learner = make_learner(make_config(method=method), rewards=(1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0))
    assert take_step(learner, KNOBS.changed(knobs)).metrics["frac_reward_zero_std"] == 0.5


@pytest.mark.parametrize("plain_paths", [(), ("no_old_pass",)])
@pytest.mark.parametrize("bug", ["none", "ratio_to_reference"])
def test_scoring_is_compared_with_sampling_whatever_the_ratio_divides_by(make_config, bug, plain_paths):
    learner = make_learner(make_config(bug=bug, plain_paths=plain_paths), noise=0.3)
    record = take_step(learner, KNOBS)
    apart = tokens_of(record, lambda c: abs(c.logps_by_update[0] - c.sampled_logps))
    for name, expected in (("mean", apart.mean()), ("max", apart.max())):
        found = record.metrics[f"sampling/sampling_logp_difference/{name}"]
        assert found == pytest.approx(expected, abs=1e-6) and found < 1e-4
    away = tokens_of(record, lambda c: abs(c.old_logps - c.sampled_logps)).max()
    assert (away > 0.1) == (bug == "ratio_to_reference")


@pytest.mark.parametrize("method", ["rft", "sft"])
def test_where_others_wrote_the_tokens_scoring_is_compared_with_no_sampling(make_config, method):
    record = take_step(make_learner(make_config(method=method), noise=0.3), KNOBS)
    assert record.metrics["sampling/sampling_logp_difference/mean"] is None
    assert record.metrics["sampling/sampling_logp_difference/max"] is None
