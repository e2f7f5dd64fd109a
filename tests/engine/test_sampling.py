import math

import pytest
import torch

from tests.engine.arrays import PROMPTS, finish, sample, sample_batch
from workbench.engine.batch import TokenBatch
from workbench.engine.prompts import encode_prompts
from workbench.engine.rollout import NUM_ALTERNATIVES
from workbench.engine.sampling import sample_groups
from workbench.engine.scoring import score
from workbench.errors import DivergedError
from workbench.run.knobs import Knobs

KNOBS = Knobs(num_generations=4, max_completion_length=12, temperature=0.7)


def test_what_was_recorded_while_sampling_is_what_scoring_finds(make_policy, any_folder):
    """Left padding, a temperature other than 1, an adapter that does something, rows that ended early."""
    policy = make_policy(any_folder)
    prompts, rollout = sample(policy, KNOBS)
    with torch.no_grad():
        scores = score(policy, TokenBatch.of(prompts, rollout, 4, KNOBS.temperature))
        logps, entropy = scores.logps, scores.entropy
    kept = rollout.mask
    torch.testing.assert_close(rollout.logps[kept], logps[kept], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(rollout.entropy[kept], entropy[kept], atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        other = score(policy, TokenBatch.of(prompts, rollout, 4, 1.0)).logps
    assert (other[kept] - rollout.logps[kept]).abs().max() > 0.1, "the temperature matters, or this proves nothing"


def test_the_first_tokens_are_drawn_from_the_softmax(make_policy):
    """Pearson's chi-square over 4000 draws, tokens expected fewer than 10 times put together."""
    policy = make_policy()
    num_draws = 4000
    knobs = Knobs(num_generations=250, max_completion_length=1, temperature=0.5)
    encoded = encode_prompts(policy, [PROMPTS[0]])
    with torch.no_grad():
        logits = policy.logits(encoded.ids, None, encoded.positions, num_last=1)[0, -1]
    probabilities = (logits.double() / knobs.temperature).softmax(-1)
    counts = torch.zeros_like(probabilities)
    for seed in range(num_draws // 250):
        _, rollout = sample(policy, knobs, PROMPTS[:1], seed=seed)
        counts += torch.bincount(rollout.token_ids[:, 0], minlength=len(counts))
    expected = probabilities * num_draws
    common = expected >= 10
    observed = torch.cat([counts[common], counts[~common].sum()[None]])
    expected = torch.cat([expected[common], expected[~common].sum()[None]])
    freedom = len(observed) - 1
    chi_square = ((observed - expected) ** 2 / expected).sum().item()
    assert freedom > 10
    assert chi_square < freedom + 4 * math.sqrt(2 * freedom), "four standard deviations above its mean"
    flat = torch.full_like(expected, num_draws / len(expected))
    assert ((observed - flat) ** 2 / flat).sum().item() > 2 * chi_square, "the test can tell another distribution"


def test_the_end_token_belongs_to_the_completion_and_only_what_never_ended_is_truncated(make_policy, qwen2_folder):
    for policy in (make_policy(), make_policy(qwen2_folder)):
        _, rollout = sample(policy, Knobs(num_generations=16, max_completion_length=12))
        for ids, mask, is_truncated in zip(rollout.token_ids, rollout.mask, rollout.is_truncated, strict=True):
            length = int(mask.sum())
            assert mask.tolist() == [True] * length + [False] * (len(mask) - length)
            is_end = [token in policy.eos_ids for token in ids[:length].tolist()]
            assert not any(is_end[:-1]) and is_end[-1] != bool(is_truncated)
            assert length == 12 or not is_truncated
            assert (ids[length:] == policy.pad_id).all()
        assert rollout.is_truncated.any() and not rollout.is_truncated.all(), "both kinds occur"


def test_an_end_token_at_the_last_place_is_an_end(make_policy):
    policy = make_policy()
    _, rollout = sample(policy, Knobs(num_generations=64, max_completion_length=3))
    full = rollout.mask.sum(1) == 3
    ended = rollout.token_ids[:, 2] == policy.eos_ids[0]
    assert (full & ended).any() and (full & ~ended).any()
    assert torch.equal(rollout.is_truncated, full & ~ended)


def test_padding_holds_zeros_and_the_alternatives_are_the_likeliest_in_order(make_policy):
    _, rollout = sample(make_policy(), KNOBS)
    padding = ~rollout.mask
    assert padding.any()
    for values in (rollout.logps, rollout.entropy, rollout.top_logps, rollout.top_ids):
        assert (values[padding] == 0).all()
    top = rollout.top_logps[rollout.mask]
    assert top.shape[1] == NUM_ALTERNATIVES and (top[:, :-1] >= top[:, 1:]).all()
    drawn_is_likeliest = rollout.token_ids == rollout.top_ids[..., 0]
    assert torch.equal(rollout.logps[drawn_is_likeliest], rollout.top_logps[..., 0][drawn_is_likeliest])
    assert (rollout.logps <= rollout.top_logps[..., 0]).all()


def test_no_column_is_kept_that_no_completion_reached(make_policy):
    for seed in range(5):
        _, rollout = sample(make_policy(), Knobs(num_generations=2, max_completion_length=64), PROMPTS[:1], seed)
        assert rollout.token_ids.shape[1] == rollout.mask.sum(1).max()


def test_the_same_seed_draws_the_same_and_another_seed_does_not(make_policy):
    policy = make_policy()
    first, again, other = (sample_batch(policy, KNOBS, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.completion_ids, again.completion_ids)
    assert first.completion_ids.shape != other.completion_ids.shape or not torch.equal(
        first.completion_ids, other.completion_ids
    )


@pytest.mark.parametrize("plain_paths", [(), ("lean_model",)])
def test_sampling_can_be_ended_between_any_two_tokens_and_leaves_the_weights_as_they_were(make_policy, plain_paths):
    policy = make_policy(plain_paths=plain_paths)
    before = {name: weight.clone() for name, weight in policy.model.state_dict().items()}
    encoded = encode_prompts(policy, PROMPTS)
    for num_tokens in (0, 1, 2, 5):
        sampling = sample_groups(policy, encoded, KNOBS, step=1, generator=torch.Generator())
        for _ in range(1 + num_tokens):
            next(sampling)
        is_moved = any(not torch.equal(before[n], w) for n, w in policy.model.state_dict().items())
        assert is_moved == (num_tokens > 0 and "lean_model" in plain_paths), "merged, where ours is not used"
        sampling.close()
        assert all(torch.equal(before[n], w) for n, w in policy.model.state_dict().items())
        assert len(policy.trainable) > 0


def test_progress_counts_the_tokens(make_policy):
    policy = make_policy()
    encoded = encode_prompts(policy, PROMPTS)
    knobs = Knobs(num_generations=64, max_completion_length=5)
    events = list(sample_groups(policy, encoded, knobs, step=7, generator=torch.Generator()))
    assert [(e.step, e.stage, e.done, e.total) for e in events] == [(7, "sample", t, 5) for t in range(6)]


def test_a_completion_ends_where_the_models_positions_end(make_policy, any_folder):
    policy = make_policy(any_folder)
    limit = policy.model.config.max_position_embeddings
    prompt = "1" * (limit - 3)
    _, rollout = sample(policy, Knobs(num_generations=8, max_completion_length=64), [prompt])
    assert rollout.token_ids.shape[1] <= 3
    assert rollout.is_truncated.any()


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_end_the_sampling_and_leave_the_weights_as_they_were(make_policy, poison):
    policy = make_policy()
    adapter = next(weight for name, weight in policy.model.named_parameters() if "lora_B" in name)
    adapter.data[0] = poison
    before = {name: weight.clone() for name, weight in policy.model.state_dict().items() if "lora_" not in name}
    with pytest.raises(DivergedError, match="not finite: training diverged"):
        finish(sample_groups(policy, encode_prompts(policy, PROMPTS), KNOBS, step=1, generator=torch.Generator()))
    after = policy.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
