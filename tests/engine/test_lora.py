from dataclasses import replace

import pytest
import torch

from tests.engine.arrays import PROMPTS, sample_batch
from workbench.engine.lora import lora_layers
from workbench.engine.prompts import encode_prompts
from workbench.engine.scoring import score
from workbench.run.knobs import Knobs


def logits_of(policy):
    prompts = encode_prompts(policy, PROMPTS)
    return policy.logits(prompts.ids, prompts.mask, prompts.positions, num_last=1)[:, -1].detach()


def base_weights(policy):
    return {name: weight.clone() for name, weight in policy.model.state_dict().items() if "lora_" not in name}


def assert_same_weights(policy, before):
    after = base_weights(policy)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_merged_policy_is_the_same_function_and_the_base_weights_come_back_bit_for_bit(make_policy, any_folder):
    policy = make_policy(any_folder)
    before, adapter_on = base_weights(policy), logits_of(policy)
    with policy.merged():
        merged = logits_of(policy)
    with policy.reference():
        reference = logits_of(policy)
    torch.testing.assert_close(merged, adapter_on, atol=1e-5, rtol=1e-5)
    assert (adapter_on - reference).abs().max() > 0.1, "the adapter does something, or this test proves nothing"
    assert_same_weights(policy, before)
    assert torch.equal(logits_of(policy), adapter_on)


def test_the_base_weights_come_back_when_merging_or_what_follows_fails(make_policy, monkeypatch):
    policy = make_policy()
    before = base_weights(policy)
    with pytest.raises(RuntimeError, match="while sampling"), policy.merged():
        raise RuntimeError("while sampling")
    assert_same_weights(policy, before)
    last = list(lora_layers(policy.model).values())[-1]

    def out_of_memory(adapter):
        raise MemoryError("while merging")

    monkeypatch.setattr(last, "get_delta_weight", out_of_memory)
    with pytest.raises(MemoryError, match="while merging"), policy.merged():
        pass
    assert_same_weights(policy, before)


def test_a_hundred_merges_do_not_wear_the_weights(make_policy):
    policy = make_policy()
    before = base_weights(policy)
    for _ in range(100):
        with policy.merged():
            pass
    assert_same_weights(policy, before)


def test_the_folded_forward_and_the_adapter_beside_its_layer_give_the_same_gradient(make_policy, any_folder):
    folded = make_policy(any_folder, plain_paths=("lean_model",))
    beside = replace(folded, fast_paths=folded.fast_paths - {"folded_update"})
    batch = sample_batch(folded, Knobs(num_generations=4, max_completion_length=10))
    found = []
    for policy in (folded, beside):
        logps = score(policy, batch).logps
        loss = logps[batch.mask].mean()
        found.append((logps.detach()[batch.mask], torch.autograd.grad(loss, policy.trainable)))
    (logps, gradients), (other_logps, other_gradients) = found
    torch.testing.assert_close(logps, other_logps, atol=2e-5, rtol=1e-4)
    whole, other = (torch.cat([g.flatten().float() for g in part]) for part in (gradients, other_gradients))
    cosine = torch.nn.functional.cosine_similarity(whole, other, dim=0)
    assert cosine > 0.99999
    torch.testing.assert_close(whole, other, atol=1e-6, rtol=1e-3)


def test_gradients_switched_on_or_off_the_policy_the_reference_and_the_merged_policy_stay_what_they_are(make_policy):
    policy = make_policy()

    def all_three():
        with policy.reference():
            reference = logits_of(policy)
        with policy.merged():
            merged = logits_of(policy)
        return logits_of(policy), reference, merged

    with torch.no_grad():
        expected = all_three()
    for with_gradient, without in zip(all_three(), expected, strict=True):
        torch.testing.assert_close(with_gradient, without, atol=1e-5, rtol=1e-5)
