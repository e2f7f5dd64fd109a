import numpy as np
import pytest
import torch

from tests.engine.arrays import completions_of, run_steps, tokens_of
from tests.engine.learners import make_learner, take_step
from workbench.grpo import clipped, gradient_budget, gradient_parts, group_mean_std, grpo_loss, is_dead, outside_band
from workbench.run.knobs import Knobs

KNOBS = Knobs(num_generations=4, max_completion_length=8, num_iterations=3, learning_rate=0.03, beta=0.1, epsilon=0.1)
LEVELS = [KNOBS, KNOBS.changed({"importance_sampling_level": "sequence", "loss_type": "dapo"})]


@pytest.fixture(params=LEVELS, ids=["token", "sequence"])
def record(request, make_config):
    return run_steps(make_config(prompts_per_step=3), request.param, 2)[-1]


def padded(record, read) -> torch.Tensor:
    rows = [torch.from_numpy(np.array(read(c))) for c in completions_of(record)]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)


def loss_terms(record, k: int):
    """Return what `grpo_loss` says of a record's inner update, and what went into it."""
    knobs = record.knobs
    logps, old_logps, ref_logps = (
        padded(record, read) for read in (lambda c: c.logps_by_update[k], lambda c: c.old_logps, lambda c: c.ref_logps)
    )
    mask = padded(record, lambda c: np.ones(len(c.token_ids), dtype=bool))
    advantages = torch.tensor([c.advantage for c in completions_of(record)])
    options = {"beta": knobs.beta, "importance_sampling_level": knobs.importance_sampling_level}
    terms = grpo_loss(
        logps, old_logps, ref_logps, advantages, mask, epsilon=knobs.epsilon, loss_type=knobs.loss_type, **options
    )
    parts = gradient_parts(terms, logps, ref_logps, advantages, mask, **options)
    return terms, parts, advantages, mask


def test_the_records_ratio_kl_flags_and_weight_are_those_of_the_formulas_package(record):
    knobs = record.knobs
    for k in range(knobs.num_iterations):
        terms, _, advantages, mask = loss_terms(record, k)
        for name, ours in (
            ("ratio", lambda c, k=k: c.ratio_by_update[k]),
            ("kl", lambda c, k=k: c.kl_by_update[k]),
            ("weights", lambda c: np.full(len(c.token_ids), c.weight, dtype=np.float32)),
        ):
            torch.testing.assert_close(padded(record, ours)[mask], getattr(terms, name)[mask], atol=1e-6, rtol=1e-5)
        flags = clipped(terms.ratio, advantages, knobs.epsilon), outside_band(terms.ratio, knobs.epsilon)
        assert torch.equal(padded(record, lambda c, k=k: c.clipped_by_update[k]), flags[0] & mask)
        assert torch.equal(padded(record, lambda c, k=k: c.outside_by_update[k]), flags[1] & mask)


def test_each_groups_budget_is_that_of_its_tokens_and_the_losses_add_up(record):
    for k in range(record.knobs.num_iterations):
        terms, parts, _, _ = loss_terms(record, k)
        for g, group in enumerate(record.groups):
            rows = slice(4 * g, 4 * g + 4)
            budget = gradient_budget(type(parts)(parts.push[rows], parts.kl_pull[rows], parts.lost[rows]))
            for name, expected in zip(("up", "down", "kl", "lost"), vars(budget).values(), strict=True):
                assert group.budget[k][name] == pytest.approx(expected.item(), abs=1e-5), name
        total = sum(group.budget[k]["loss"] for group in record.groups)
        assert total == pytest.approx(record.updates[k]["loss"], abs=1e-5)
        assert total == pytest.approx(terms.loss.item(), abs=1e-5)


def test_groups_know_their_mean_standard_deviation_and_whether_they_are_dead(record):
    rewards = torch.tensor([c.reward for c in completions_of(record)])
    mean, std = group_mean_std(rewards, 4)
    np.testing.assert_allclose([g.mean for g in record.groups], mean, atol=1e-6)
    np.testing.assert_allclose([g.std for g in record.groups], std, atol=1e-6)
    assert [g.is_dead for g in record.groups] == is_dead(rewards, 4).tolist()


def test_every_array_has_a_number_per_token_and_cannot_be_changed(record):
    for c in completions_of(record):
        length = len(c.token_ids)
        assert len(c.tokens) == len(c.top_tokens) == length > 0
        for name in ("token_ids", "sampled_logps", "entropy", "old_logps", "ref_logps", "top_ids", "top_logps"):
            assert len(getattr(c, name)) == length
            with pytest.raises(ValueError, match="read-only"):
                getattr(c, name)[0] = 0
        for name in ("logps_by_update", "clipped_by_update", "outside_by_update"):
            assert getattr(c, name).shape == (3, length)
        np.testing.assert_allclose(c.sampled_logps, c.old_logps, atol=1e-5)
        assert c.tokens == tuple(record.vocabulary[i] for i in c.token_ids.tolist())
        assert c.top_tokens == tuple(tuple(record.vocabulary[i] for i in top) for top in c.top_ids.tolist())


def test_the_text_leaves_the_end_token_out_and_the_tokens_show_it(record):
    ended = [c for c in completions_of(record) if not c.is_truncated]
    assert ended
    for c in ended:
        assert c.tokens[-1] == "<eos>" and "<eos>" not in c.text


LEFT_OUT = {  # settings and knobs without and with something that the loss leaves out
    "truncated": ({}, {}, {"mask_truncated_completions": True}),
    "eos": ({"bug": "eos_not_in_mask"}, {"max_completion_length": 32}, {}),
    "sft": ({"method": "sft"}, {"max_completion_length": 4}, {"mask_truncated_completions": True}),
    "rft": ({"method": "rft"}, {}, {"mask_truncated_completions": True}),
}


@pytest.mark.parametrize("case", LEFT_OUT)
@pytest.mark.parametrize("plain_paths", [(), ("lean_model",)])
def test_the_exact_kl_is_recorded_of_tokens_that_are_left_out_of_the_loss_too(make_config, case, plain_paths):
    settings, knobs, masking = LEFT_OUT[case]
    exact = KNOBS.changed({"kl_estimator": "exact", "learning_rate": 0.0} | knobs)

    def recorded(settings, knobs):
        config = make_config(**settings, plain_paths=plain_paths)
        return take_step(make_learner(config, rewards=(1.0, 0.0), noise=0.05), knobs)

    whole = recorded({name: value for name, value in settings.items() if name != "bug"}, exact)
    partly = recorded(settings, exact.changed(masking))
    kl = [tokens_of(record, lambda c: c.exact_kl_by_update.ravel()) for record in (whole, partly)]
    np.testing.assert_allclose(kl[1], kl[0], atol=1e-5)
    assert kl[0].min() > 0
    unlearned = [c for c in completions_of(partly) if (c.coefficients_by_update[0] == 0).any()]
    assert unlearned and partly.metrics["kl"] != pytest.approx(whole.metrics["kl"], rel=1e-3)
