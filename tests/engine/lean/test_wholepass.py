"""The compiled pass against autograd through the plain one: in float64 to its rounding, and in a run to float32's."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.arrays import PROMPTS, run_steps, sample_batch
from workbench.engine.lean import forward, packed, wholepass
from workbench.engine.lean.compiled import compiled
from workbench.engine.lean.packed import pack
from workbench.engine.lean.weights import lean_weights
from workbench.engine.lean.wholepass import WholePass
from workbench.engine.policy import load_policy
from workbench.engine.scoring import score, score_policy, score_reference
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs

KNOBS = Knobs(num_generations=4, max_completion_length=12, temperature=0.7)


def moved(policy):
    """Return the policy with an adapter that does something."""
    random = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in policy.trainable:
            weight.add_(0.05 * torch.randn(weight.shape, generator=random))
    return policy


def batch_of(prompt_lengths, rows, *, seed=0):
    """Return packed tokens for (prompt, completion length) of each row, prompts padded at the left."""
    random = torch.Generator().manual_seed(seed)
    longest, most = max(prompt_lengths), max(length for _, length in rows)
    prompts = torch.randint(2, 262, (len(prompt_lengths), longest), generator=random)
    prompt_mask = torch.arange(longest) >= longest - torch.tensor(prompt_lengths)[:, None]
    which, lengths = (torch.tensor(column) for column in zip(*rows, strict=True))
    completions = torch.randint(2, 262, (len(rows), most), generator=random)
    return prompts[which], prompt_mask[which], completions, torch.arange(most) < lengths[:, None]


def states_and_gradients(model, make_states, batch, *, shares_prompts=True):
    """Return the states, and the gradient of a random sum of them towards every A and B."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    found = make_states(lean_weights(model))(pack(*batch, shares_prompts=shares_prompts))
    random = torch.Generator().manual_seed(1)
    toward = torch.randn(found.shape, generator=random, dtype=found.dtype)
    return found.detach(), torch.autograd.grad(found, trained, toward)


def plain(weights):
    return partial(forward.states, weights)


def assert_same(found, expected, *, within):
    """Hold states, and gradients, to the others, up to a part of the largest among them."""
    (states, gradients), (right_states, right_gradients) = found, expected
    assert (states - right_states).abs().max() <= within * right_states.abs().max()
    largest = max(gradient.abs().max() for gradient in right_gradients)
    assert largest > 1e-3
    for ours, right in zip(gradients, right_gradients, strict=True):
        assert (ours - right).abs().max() <= within * largest


@pytest.mark.parametrize("shares_prompts", [True, False])
@pytest.mark.parametrize("rows_at_once", [64, 3])
def test_it_gives_the_states_and_the_gradient_of_the_plain_pass(
    make_policy, lean_folder, monkeypatch, rows_at_once, shares_prompts
):
    """Padded prompts, completions of one token, grouped heads, biases, norms of heads, several blocks."""
    monkeypatch.setattr(packed, "ROWS_AT_ONCE", rows_at_once)
    model = moved(make_policy(lean_folder)).model.double()
    batch = batch_of((5, 2, 9), ((0, 1), (0, 7), (0, 3), (1, 1), (1, 12), (2, 2), (2, 1), (2, 1), (2, 6)))
    expected = states_and_gradients(model, plain, batch, shares_prompts=shares_prompts)
    assert_same(states_and_gradients(model, WholePass, batch, shares_prompts=shares_prompts), expected, within=1e-10)


@pytest.fixture(scope="module")
def double_model():
    """The bundled model with an adapter that does something."""
    return moved(load_policy(RunConfig(device="cpu"))).model.double()


@settings(max_examples=25)
@given(
    prompt_lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9)), min_size=1, max_size=12),
)
def test_any_batch_has_the_same_states_and_gradient(double_model, prompt_lengths, rows):
    batch = batch_of(prompt_lengths, [(which % len(prompt_lengths), length) for which, length in rows])
    expected = states_and_gradients(double_model, plain, batch)
    assert_same(states_and_gradients(double_model, WholePass, batch), expected, within=1e-10)


def test_compiled_and_not_it_is_the_same(double_model, monkeypatch):
    batch = batch_of((3, 5), ((0, 4), (0, 1), (1, 6)))
    found = states_and_gradients(double_model, WholePass, batch)
    assert compiled(wholepass.read_all) is not wholepass.read_all
    monkeypatch.setattr(wholepass, "compiled", lambda function: function)
    assert_same(found, states_and_gradients(double_model, WholePass, batch), within=1e-14)


def test_its_gradient_may_be_taken_twice(double_model):
    batch = pack(*batch_of((3,), ((0, 4), (0, 2))))
    trained = [weight for weight in double_model.parameters() if weight.requires_grad]
    total = WholePass(lean_weights(double_model))(batch).sum()
    once, twice = (torch.autograd.grad(total, trained, retain_graph=True) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(once, twice, strict=True))


def test_in_a_run_its_numbers_are_the_plain_ones_and_its_gradients_lie_as_their_weights_do(make_policy, lean_folder):
    policy = moved(make_policy(lean_folder))
    other = replace(policy, fast_paths=policy.fast_paths - {"compiled_pass"})
    assert "compiled_pass" in policy.fast_paths
    batch = sample_batch(policy, KNOBS)
    found = []
    for way in (policy, other):
        logps = score(way, batch).logps
        gradients = torch.autograd.grad((logps * batch.mask).sum(), policy.trainable)
        found.append((logps.detach(), gradients))
        assert all(gradient.is_contiguous() for gradient in gradients), "the fused optimizer reads memory as it lies"
    assert_same(*found, within=1e-5)
    torch.testing.assert_close(
        score_reference(policy, batch, 64), score_reference(other, batch, 64), atol=1e-5, rtol=1e-5
    )


def test_with_a_gradient_and_without_it_gives_the_same_bits(make_policy, lean_folder):
    """So a policy that has not moved has a ratio of exactly 1 to what sampled, and a KL of 0 to its reference."""
    policy = make_policy(lean_folder)
    policy.reset_reference()
    batch = sample_batch(policy, KNOBS)
    logps = score(policy, batch).logps.detach()[batch.mask]
    assert torch.equal(logps, score_policy(policy, batch, 64)[batch.mask])
    assert torch.equal(logps, score_reference(policy, batch, 64)[batch.mask])


def test_rows_too_long_to_hold_their_scores_go_the_plain_way(make_policy, monkeypatch):
    policy = make_policy()
    batch = sample_batch(policy, KNOBS, PROMPTS)
    few = score(policy, batch).logps.detach()
    monkeypatch.setattr(wholepass, "SCORES_AT_ONCE", 0)
    monkeypatch.delattr(WholePass, "read")
    torch.testing.assert_close(score(policy, batch).logps.detach(), few, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("at_once", [wholepass.SCORES_AT_ONCE, 0])
def test_a_steps_record_says_whether_it_was_used(make_config, monkeypatch, at_once):
    monkeypatch.setattr(wholepass, "SCORES_AT_ONCE", at_once)
    (record,) = run_steps(make_config(), Knobs(num_generations=2, max_completion_length=4), 1)
    assert ("compiled_pass" in record.fast_paths) == (at_once > 0)


def test_a_larger_model_does_not_copy_its_weights_for_it(make_policy, monkeypatch):
    monkeypatch.setattr("workbench.engine.policy.TINY", 1)
    assert "compiled_pass" not in make_policy().fast_paths
