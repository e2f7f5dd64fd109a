"""Resetting the reference to the policy, with LoRA."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.engine.arrays import PROMPTS, adapter_of, completions_of, run_steps, sample_batch
from workbench.engine.prompts import encode_prompts
from workbench.engine.scoring import score, score_exact_kl, score_reference
from workbench.run.knobs import Knobs

KNOBS = Knobs(num_generations=4, max_completion_length=8, learning_rate=1e-2)


def logits_of(policy):
    prompts = encode_prompts(policy, PROMPTS)
    with torch.no_grad():
        return policy.logits(prompts.ids, prompts.mask, prompts.positions, num_last=1)[:, -1]


def move(policy, by=0.1):
    noise = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in policy.trainable:
            weight += by * torch.randn(weight.shape, generator=noise).to(weight.dtype)


@pytest.mark.parametrize("plain_paths", [(), ("lean_model",), ("lean_model", "folded_update")])
def test_after_a_reset_the_reference_says_exactly_what_the_policy_says_and_the_kl_is_zero(
    make_policy, any_folder, plain_paths
):
    policy = make_policy(any_folder, plain_paths=plain_paths)
    batch = sample_batch(policy, KNOBS)
    assert score_exact_kl(policy, batch, 64).max() > 0.01
    policy.reset_reference()
    logps = score(policy, batch).logps.detach()
    assert torch.equal(score_reference(policy, batch, 64)[batch.mask], logps[batch.mask])
    assert score_exact_kl(policy, batch, 64).abs().max() == 0


def test_the_reference_stays_where_it_was_reset_while_the_policy_moves_on_and_neither_drifts(make_policy, any_folder):
    policy = make_policy(any_folder)
    base = None
    with policy.reference():
        base = logits_of(policy)
    at_reset = logits_of(policy)
    policy.reset_reference()
    move(policy)
    moved, weights = logits_of(policy), adapter_of(policy)
    assert (moved - at_reset).abs().max() > 0.05 < (at_reset - base).abs().max()
    for _ in range(20):
        with policy.reference():
            reference = logits_of(policy)
    assert torch.equal(reference, at_reset) and torch.equal(logits_of(policy), moved)
    assert torch.equal(adapter_of(policy), weights)
    policy.reset_reference()
    with policy.reference():
        assert torch.equal(logits_of(policy), moved), "and again, to where the policy is by then"


def test_the_reference_can_be_merged_before_and_after_a_reset(make_policy, any_folder):
    policy = make_policy(any_folder)
    for is_reset in (False, True):
        if is_reset:
            policy.reset_reference()
            move(policy)
        with policy.reference():
            plain = logits_of(policy)
            with policy.merged():
                merged = logits_of(policy)
            assert torch.equal(logits_of(policy), plain), "leaving merged() does not leave the reference"
        torch.testing.assert_close(merged, plain, atol=1e-5, rtol=1e-5)
        assert (logits_of(policy) - plain).abs().max() > 0.05


def test_there_is_no_reference_within_merged_where_the_base_weights_are_changed(make_policy):
    policy = make_policy()
    for _ in range(2):
        with policy.merged(), pytest.raises(AssertionError, match=r"within merged\(\)"):
            policy.reference()
        policy.reset_reference()


def test_the_weights_come_back_when_scoring_the_reference_fails(make_policy):
    policy = make_policy()
    policy.reset_reference()
    move(policy)
    weights = adapter_of(policy)
    with pytest.raises(MemoryError), policy.reference():
        raise MemoryError
    assert torch.equal(adapter_of(policy), weights)


def test_a_look_at_the_reference_between_forward_and_backward_changes_no_gradient(make_policy):
    policy = make_policy()
    batch = sample_batch(policy, KNOBS)

    def gradient(looks):
        loss = score(policy, batch).logps[batch.mask].mean()
        if looks:
            score_reference(policy, batch, 64)
        return torch.autograd.grad(loss, policy.trainable)

    policy.reset_reference()
    move(policy)
    assert all(map(torch.equal, gradient(looks=True), gradient(looks=False)))


def test_a_reset_changes_nothing_of_the_saved_adapter(make_policy, tmp_path):
    policy = make_policy()
    policy.save_adapter(tmp_path / "before")
    policy.reset_reference()
    policy.save_adapter(tmp_path / "after")
    before, after = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("before", "after"))
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


def kl_of(record):
    return np.concatenate([c.kl_by_update[0] for c in completions_of(record)])


def test_a_run_resets_the_reference_every_so_many_steps_and_the_kl_begins_at_zero_again(make_config):
    config = make_config(max_steps=6, sync_ref_model=True, ref_model_sync_steps=2, prompts_per_step=4)

    def brevity(completion_ids, **columns):
        return [-float(len(ids)) for ids in completion_ids]

    records = run_steps(config, KNOBS, reward_funcs=[brevity])
    starts_anew = [bool((kl_of(record) == 0).all()) for record in records]
    assert starts_anew == [True, False, True, False, True, False]
    kept = run_steps(make_config(max_steps=6, prompts_per_step=4), KNOBS, reward_funcs=[brevity])
    assert [bool((kl_of(record) == 0).all()) for record in kept] == [True] + [False] * 5
    texts = [[c.text for record in run for c in completions_of(record)] for run in (records, kept)]
    assert texts[0] == texts[1], "without beta the reference only measures: the policy is the same"
