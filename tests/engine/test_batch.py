import torch

from tests.engine.arrays import PROMPTS, sample_batch
from workbench.engine import batch as batches
from workbench.engine.batch import TokenBatch
from workbench.engine.lean.packed import pack
from workbench.engine.scoring import rows_per_pass, score, score_reference
from workbench.run.knobs import Knobs

KNOBS = Knobs(num_generations=4, max_completion_length=10, temperature=1.3)


def test_a_row_scores_alone_as_it_does_in_the_batch(make_policy, any_folder):
    """Neither the padding at the left, nor that at the right, nor the other rows change a token's log-probability."""
    policy = make_policy(any_folder)
    batch = sample_batch(policy, KNOBS)
    with torch.no_grad():
        scores = score(policy, batch)
        logps, entropy = scores.logps, scores.entropy
        for i in range(len(batch.mask)):
            prompt, kept = batch.prompt_mask[i], batch.mask[i]
            alone = TokenBatch(
                batch.prompt_ids[i : i + 1, prompt],
                batch.prompt_mask[i : i + 1, prompt],
                batch.completion_ids[i : i + 1, kept],
                batch.mask[i : i + 1, kept],
                batch.loss_mask[i : i + 1, kept],
                batch.temperature,
            )
            alone_scores = score(policy, alone)
            alone_logps, alone_entropy = alone_scores.logps, alone_scores.entropy
            torch.testing.assert_close(logps[i, kept], alone_logps[0], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(entropy[i, kept], alone_entropy[0], atol=1e-5, rtol=1e-5)


def test_the_score_is_the_log_softmax_of_the_tempered_logits_at_the_token(make_policy):
    policy = make_policy()
    batch = sample_batch(policy, KNOBS, PROMPTS[:1])
    ids = torch.cat([batch.prompt_ids, batch.completion_ids], dim=1)
    with torch.no_grad():
        scores = score(policy, batch)
        logps, entropy = scores.logps, scores.entropy
        all_logps = (policy.model(ids).logits.double() / KNOBS.temperature).log_softmax(-1)
    for i, t in batch.mask.nonzero().tolist():
        predicted_by = all_logps[i, batch.prompt_ids.shape[1] + t - 1]
        assert abs(logps[i, t].item() - predicted_by[batch.completion_ids[i, t]].item()) < 1e-5
        assert abs(entropy[i, t].item() + (predicted_by.exp() * predicted_by).sum().item()) < 1e-5


def test_micro_batches_share_out_the_rows_once_each_and_lose_no_token(make_policy):
    batch = sample_batch(make_policy(), KNOBS)
    for size in (1, 3, 5, 64):
        seen = torch.zeros_like(batch.completion_ids)
        sizes = []
        for rows, micro in batch.micro_batches(size):
            sizes.append(len(rows))
            length = micro.mask.shape[1]
            assert micro.mask.any(0).all(), "trimmed to the longest of its rows"
            assert not batch.mask[rows, length:].any()
            assert torch.equal(micro.prompt_ids, batch.prompt_ids[rows])
            seen[rows, :length] += torch.where(micro.mask, micro.completion_ids + 1, 0)
        assert torch.equal(seen, torch.where(batch.mask, batch.completion_ids + 1, 0))
        assert max(sizes) <= size and sum(sizes) == len(batch.mask)


def test_the_reference_scores_without_the_adapter_whatever_the_micro_batch_and_0_on_padding(make_policy):
    policy = make_policy()
    batch = sample_batch(policy, KNOBS)
    with torch.no_grad(), policy.reference():
        expected = score(policy, batch).logps
    for size in (1, 3, 64):
        ref_logps = score_reference(policy, batch, size)
        torch.testing.assert_close(ref_logps[batch.mask], expected[batch.mask], atol=1e-5, rtol=1e-5)
        assert (ref_logps[~batch.mask] == 0).all() and not ref_logps.requires_grad
    with torch.no_grad():
        assert (score(policy, batch).logps - expected)[batch.mask].abs().max() > 0.1


def test_a_large_vocabulary_is_scored_in_fewer_rows_at_once() -> None:
    mask = torch.ones(64, 256, dtype=torch.bool)
    batch = TokenBatch(mask[:, :4].long(), mask[:, :4], mask.long(), mask, mask, 1.0)
    assert rows_per_pass(batch, vocab_size=262, at_most=64) == 64
    rows = rows_per_pass(batch, vocab_size=151_936, at_most=64)
    assert 1 <= rows < 64 and rows * 256 * 151_936 <= 2**28 < (rows + 1) * 256 * 151_936
    assert rows_per_pass(batch, vocab_size=10**9, at_most=64) == 1


def test_a_batch_is_packed_once_for_all_passes_unless_it_is_large(make_policy, monkeypatch):
    policy = make_policy()
    packed = []
    monkeypatch.setattr(batches, "pack", lambda *given, **how: packed.append(given) or pack(*given, **how))
    batch = sample_batch(policy, KNOBS)
    for _ in range(3):
        score_reference(policy, batch, 6)
    assert len(packed) == 2, "one for each part"
    monkeypatch.setattr(batches, "SCORES_KEPT", 0)
    large = sample_batch(policy, KNOBS)
    found = [score_reference(policy, large, 6) for _ in range(2)]
    assert len(packed) == 2 + 2 * 2
    assert torch.equal(found[0], found[1])
