import json
from dataclasses import replace

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.run.records import make_completion, make_record
from workbench.grpo import KL_ESTIMATORS, importance_ratio
from workbench.run.knobs import Knobs

KNOBS = st.builds(
    Knobs,
    num_iterations=st.integers(1, 4),
    importance_sampling_level=st.sampled_from(["token", "sequence"]),
    kl_estimator=st.sampled_from(["k1", "k2", "k3"]),
)


@given(KNOBS, st.integers(0, 6), st.integers(0, 99))
def test_ratio_and_kl_are_those_of_the_formulas_package(knobs, length, seed):
    completion = make_completion(np.random.default_rng(seed), length, knobs)
    old, ref = (torch.tensor(a)[None] for a in (completion.old_logps, completion.ref_logps))
    for k, logps in enumerate(completion.logps_by_update):
        now = torch.tensor(logps)[None]
        ratio = importance_ratio(now, old, torch.ones_like(now, dtype=torch.bool), knobs.importance_sampling_level)
        np.testing.assert_allclose(completion.ratio_by_update[k], ratio[0].numpy(), rtol=1e-5)
        kl = KL_ESTIMATORS[knobs.kl_estimator](now, ref)
        np.testing.assert_allclose(completion.kl_by_update[k], kl[0].numpy(), rtol=1e-5, atol=1e-6)
    assert completion.ratio.shape == completion.kl.shape == (length,)
    assert completion.ratio.dtype == completion.kl.dtype == np.float32


def test_the_first_ratio_is_exactly_1_and_the_plain_names_are_the_last_update():
    completion = make_completion(np.random.default_rng(0), 5, Knobs(num_iterations=3))
    assert (completion.ratio_by_update[0] == 1).all()
    assert not (completion.ratio == 1).all()
    for plain, by_update in (
        ("logps", "logps"),
        ("clipped", "clipped"),
        ("outside_band", "outside"),
        ("kl", "kl"),
        ("ratio", "ratio"),
    ):
        np.testing.assert_array_equal(getattr(completion, plain), getattr(completion, f"{by_update}_by_update")[-1])


def test_without_a_reference_there_is_no_kl():
    completion = make_completion(np.random.default_rng(0), 5, has_reference=False)
    assert completion.kl is None and completion.kl_by_update is None


def test_the_row_is_plain_json_and_counts_what_is_in_the_groups():
    record = make_record(7, lengths=((3, 2), (0, 1), (4, 4)))
    row = record.row()
    assert json.loads(json.dumps(row)) == row
    assert row["step"] == 7 and row["tokens"] == 14
    assert [group["dead"] for group in row["groups"]] == [False, True, False]


def test_the_parts_of_the_reward_add_up_to_it_where_a_function_does_not_apply():
    record = make_record(lengths=((1, 1, 1),))
    rewards = ({"f": 1.0, "g": 0.0}, {"f": None, "g": 0.5}, {"f": None, "g": None})
    for completion, of in zip(record.groups.plain_completions(), rewards, strict=True):
        completion |= {"rewards": of, "reward": None if of["g"] is None else (of["f"] or 0.0) + 2 * of["g"]}
    row = replace(record, reward_weights={"f": 1.0, "g": 2.0, "h": 0.0}).row()
    assert row["reward_parts"] == {"f": 0.5, "g": 0.5}, "the mean of 1 and 1, the third left out"


def test_the_reward_band_is_the_10th_and_90th_percentile_of_the_group_means_and_none_without_any():
    record = make_record(lengths=((1, 1),) * 11)
    for i, group in enumerate(record.groups.plain):
        group["mean"] = float(i)
    row = record.row()
    assert (row["reward_low"], row["reward_high"]) == (1.0, 9.0)
    for group in record.groups.plain:
        group["mean"] = None
    unscored = record.row()
    assert unscored["reward_low"] is None and unscored["reward_high"] is None
