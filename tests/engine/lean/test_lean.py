"""Our own forward pass against transformers', with each fast path and without."""

from dataclasses import fields, replace
from itertools import combinations

import pytest
import torch

from tests.engine.arrays import PROMPTS, finish, sample_batch
from workbench.engine import scoring
from workbench.engine.decoding import Decoder, decoding
from workbench.engine.lean import forward
from workbench.engine.lean.decoder import LeanDecoder
from workbench.engine.lean.weights import why_not_lean
from workbench.engine.policy import load_policy
from workbench.engine.prompts import encode_prompts
from workbench.engine.sampling import sample_groups
from workbench.engine.scoring import LeanScorer, score, score_exact_kl, score_reference, scorer_of
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs

KNOBS = Knobs(num_generations=4, max_completion_length=12, temperature=0.7)
SWITCHES = (
    "merged_rollout",
    "shared_prefill",
    "row_compaction",
    "shared_prompt",
    "folded_update",
    "compiled_decode",
    "compiled_pass",
    "parallel_parts",
)


def without(policy, *names):
    return replace(policy, fast_paths=policy.fast_paths - set(names))


def held_by(node):
    """Yield the tensors that a compiled pass in a graph holds."""
    if node is None:
        return
    yield from tensors_in(getattr(node, "kept", ()))
    for below, _ in node.next_functions:
        yield from held_by(below)


def tensors_in(held):
    if isinstance(held, torch.Tensor):
        yield held
    elif isinstance(held, (tuple, list)):
        for one in held:
            yield from tensors_in(one)


def test_log_probabilities_entropies_and_gradients_are_transformers_own(make_policy, lean_folder):
    policy = make_policy(lean_folder)
    batch = sample_batch(policy, KNOBS)
    found = []
    for way in (policy, without(policy, "lean_model", "folded_update")):
        scores = score(way, batch)
        gradient = torch.autograd.grad((scores.logps * batch.mask).sum(), policy.trainable)
        found.append((scores.logps.detach()[batch.mask], scores.entropy[batch.mask], gradient))
    (logps, entropy, gradient), (plain_logps, plain_entropy, plain_gradient) = found
    torch.testing.assert_close(logps, plain_logps, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(entropy, plain_entropy, atol=1e-5, rtol=1e-5)
    for ours, plain in zip(gradient, plain_gradient, strict=True):
        assert (ours - plain).abs().max() <= 1e-5 * max(1.0, float(plain.abs().max()))


def test_long_rows_attend_through_torchs_own_kernel_to_the_same_numbers(make_policy, lean_folder, monkeypatch):
    policy = make_policy(lean_folder)
    batch = sample_batch(policy, KNOBS)
    found = []
    for limit in (forward.SCORES_AT_ONCE, 0):
        monkeypatch.setattr(forward, "SCORES_AT_ONCE", limit)
        logps = score(policy, batch).logps
        found.append((logps.detach(), *torch.autograd.grad(logps.sum(), policy.trainable)))
    for few, many in zip(*found, strict=True):
        assert (many - few).abs().max() <= 1e-5 * max(1.0, float(few.abs().max()))


def test_decoded_logits_are_transformers_own_while_rows_leave(make_policy, lean_folder):
    policy = make_policy(lean_folder)
    prompts = encode_prompts(policy, PROMPTS)
    random = torch.Generator().manual_seed(0)
    with decoding(policy, prompts, 3, 8) as ours, decoding(without(policy, "lean_model"), prompts, 3, 8) as plain:
        assert isinstance(ours, LeanDecoder) and isinstance(plain, Decoder)
        rows, plain_rows = (torch.arange(len(ours.logits)) for _ in range(2))
        for leaving in ([], [1], [0, 3], [2], [6, 7, 8], []):
            in_order, plain_order = rows.argsort(), plain_rows.argsort()
            torch.testing.assert_close(ours.logits[in_order], plain.logits[plain_order], atol=2e-5, rtol=1e-4)
            token_ids = torch.randint(0, 262, (len(PROMPTS) * 3,), generator=random)
            stays = ~torch.isin(torch.arange(len(token_ids)), torch.tensor(leaving, dtype=torch.long))
            rows = rows[ours.keep(stays[rows].nonzero()[:, 0])]
            plain_rows = plain_rows[plain.keep(stays[plain_rows].nonzero()[:, 0])]
            ours.advance(token_ids[rows])
            plain.advance(token_ids[plain_rows])
        assert len(rows) == len(PROMPTS) * 3 - 7


@pytest.mark.parametrize("off", [*combinations(SWITCHES, 1), SWITCHES, (*SWITCHES, "lean_model", "length_sorted")])
def test_no_switch_changes_what_is_sampled_or_how_it_is_scored(make_policy, lean_folder, off):
    policy, plain_policy = make_policy(lean_folder), make_policy(lean_folder, plain_paths=off)
    assert not set(off) & plain_policy.fast_paths
    prompts = encode_prompts(policy, PROMPTS)

    def sampled(way):
        return finish(sample_groups(way, prompts, KNOBS, step=1, generator=torch.Generator().manual_seed(1)))

    rollout, other = sampled(policy), sampled(plain_policy)
    assert torch.equal(rollout.token_ids, other.token_ids) and torch.equal(rollout.is_truncated, other.is_truncated)
    torch.testing.assert_close(rollout.logps, other.logps, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(rollout.entropy, other.entropy, atol=2e-5, rtol=1e-5)
    batch = sample_batch(policy, KNOBS)
    for size in (2, 64):
        found, plain = (score_reference(way, batch, size) for way in (policy, plain_policy))
        torch.testing.assert_close(found, plain, atol=1e-5, rtol=1e-5)
        found, plain = (score_exact_kl(way, batch, size) for way in (policy, plain_policy))
        torch.testing.assert_close(found, plain, atol=1e-5, rtol=1e-4)


def test_recorded_log_probabilities_are_the_recomputed_ones(make_policy, lean_folder):
    policy = make_policy(lean_folder)
    batch = sample_batch(policy, KNOBS)
    prompts = encode_prompts(policy, PROMPTS)
    rollout = finish(sample_groups(policy, prompts, KNOBS, step=1, generator=torch.Generator().manual_seed(1)))
    batch = batch.of(prompts, rollout, 4, KNOBS.temperature)
    recomputed = score(policy, batch).logps.detach()
    torch.testing.assert_close(rollout.logps[batch.mask], recomputed[batch.mask], atol=1e-5, rtol=0)


def test_the_parts_at_a_time_change_no_gradient(make_policy):
    policy = make_policy()
    batch = sample_batch(policy, KNOBS)
    gradients = []
    for num_parts, size in ((1, 64), (2, len(batch.mask) - 1), (3, -(-len(batch.mask) // 3))):
        scorer = scorer_of(policy)
        parts = scorer.parts(batch, size)
        assert len(parts) == num_parts
        assert torch.equal(torch.cat([rows for rows, _ in parts]), torch.arange(len(batch.mask)))
        losses = [(scorer.score(part).logps * part.mask).sum() for _, part in parts]
        gradients.append(torch.autograd.grad(sum(losses), policy.trainable))
    for one, two, three in zip(*gradients, strict=True):
        largest = one.abs().max()  # 0 for no weight: every one has something to do with the tokens
        torch.testing.assert_close(two / largest, one / largest, atol=1e-5, rtol=0)
        torch.testing.assert_close(three / largest, one / largest, atol=1e-5, rtol=0)


def test_the_workers_change_nothing_at_all(make_policy):
    """Parts are cut by their size alone, so that equal seeds give equal runs on any number of cores."""
    policy = make_policy(prompts_per_step=16)
    batch = sample_batch(policy, KNOBS, [f"{i}+{i}=?" for i in range(20)])
    scores = [score_reference(replace(policy, num_workers=workers), batch, 64) for workers in (1, 2, 3)]
    assert len(scorer_of(policy).parts(batch, 64)) == 3
    assert torch.equal(scores[0], scores[1]) and torch.equal(scores[0], scores[2])
    prompts = encode_prompts(policy, [f"{i}+{i}=?" for i in range(20)])
    one, two, three = (
        finish(sample_groups(way, prompts, KNOBS, step=1, generator=torch.Generator().manual_seed(1)))
        for way in (replace(policy, num_workers=workers) for workers in (1, 2, 3))
    )
    for f in fields(one):
        assert torch.equal(getattr(one, f.name), getattr(two, f.name))
        assert torch.equal(getattr(one, f.name), getattr(three, f.name))


def test_where_whole_logits_are_needed_fewer_rows_are_scored_at_once(make_policy, monkeypatch):
    policy = make_policy()
    batch = sample_batch(policy, KNOBS)
    monkeypatch.setattr(scoring, "LOGITS_IN_A_PASS", 2 * batch.mask.shape[1] * 262)
    for asked in ({"has_exact_kl": True}, {"entropy_has_gradient": True}):
        parts = scorer_of(policy, **asked).parts(batch, 64)
        assert all(len(rows) <= 2 for rows, _ in parts)
    assert len(scorer_of(policy).parts(batch, 64)) == 1


@pytest.mark.parametrize("off", [(), ("compiled_pass",)])
def test_a_pass_keeps_no_more_for_its_gradient_than_is_reckoned_with(make_policy, off):
    policy = make_policy(plain_paths=off)
    scorer = scorer_of(policy)
    assert isinstance(scorer, LeanScorer)
    batch = sample_batch(policy, KNOBS)
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        scores = scorer.score(batch)
        for tensor in held_by(scores.logps.grad_fn):
            keep(tensor)
    weights = sum(w.numel() * w.element_size() for w in policy.model.parameters())
    tokens = batch.mask.numel() + batch.prompt_ids.numel()
    head = batch.mask.numel() * 262 * 4  # the probabilities are kept, where they are few
    assert scores.logps.requires_grad
    assert sum(kept.values()) > 4 * batch.mask.sum() * policy.model.config.intermediate_size
    assert sum(kept.values()) <= tokens * scorer.weights.bytes_per_token + 2 * weights + head


def test_a_model_that_our_forward_pass_does_not_know_takes_transformers_own(make_config, gpt2_folder):
    policy = load_policy(make_config(model=str(gpt2_folder)))
    assert "lean_model" not in policy.fast_paths and "GPT2" in why_not_lean(policy.model)
    with decoding(policy, encode_prompts(policy, PROMPTS), 2, 4) as decoder:
        assert isinstance(decoder, Decoder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda model: setattr(model.config, "hidden_act", "gelu"), "gate"),
        (lambda model: model.config.rope_parameters.update(rope_type="dynamic"), "rotary"),
        (lambda model: setattr(model.config, "layer_types", ["full_attention", "sliding_attention"]), "window"),
    ],
)
def test_what_it_does_not_know_of_a_llama_keeps_it_away(change, reason):
    policy = load_policy(RunConfig(device="cpu"))
    assert why_not_lean(policy.model) is None
    change(policy.model)
    assert reason in str(why_not_lean(policy.model))


def test_in_bfloat16_nothing_is_folded_and_the_first_ratio_is_still_1(make_policy, lean_folder):
    policy = make_policy(lean_folder, dtype="bfloat16")
    assert not {"merged_rollout", "folded_update"} & policy.fast_paths and "lean_model" in policy.fast_paths
    weights = policy.lean_weights()
    assert not weights.layers[0].qkv.is_folded
    batch = sample_batch(policy, KNOBS)
    assert torch.equal(score(policy, batch).logps, score(policy, batch).logps)
    plain = score(without(policy, "lean_model"), batch).logps
    assert (score(policy, batch).logps - plain)[batch.mask].abs().mean() < 0.05
