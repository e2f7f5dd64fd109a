"""Each known mistake on the bundled model: the symptom it shows, and the test that a trainer should have to catch it.

A test that catches a mistake passes on the healthy engine and fails, here by `catches`, with the mistake built in.
"""

import ast
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.arrays import PROMPTS, adapter_of, completions_of, run_steps, tokens_of
from tests.run.records import is_same
from workbench.engine import step as step_module
from workbench.engine import trainer
from workbench.engine.batch import TokenBatch
from workbench.engine.bugs import HOOKS
from workbench.engine.objective import PolicyGradient
from workbench.engine.policy import Policy, load_policy
from workbench.engine.prompts import encode_prompts
from workbench.engine.scoring import score, score_reference
from workbench.engine.stepdata import StepData
from workbench.grpo import BatchWeights
from workbench.run.bugs import BUGS
from workbench.run.check import check_knobs
from workbench.run.completion import CompletionRecord
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs
from workbench.run.record import StepRecord

ROUNDING = 1e-4  # nats: far above what scoring differs by from sampling, far below what a mistake makes


def config_of(bug: str, **settings: Any) -> RunConfig:
    return RunConfig(**{"bug": bug, "prompts_per_step": 4, "device": "cpu", "max_steps": 50} | settings)


def knobs_of(**knobs: Any) -> Knobs:
    return Knobs(**{"num_generations": 4, "max_completion_length": 32, "learning_rate": 1e-3} | knobs)


def run(bug: str, num_steps: int = 1, *, rewards: Callable[..., Any] | None = None, **knobs: Any) -> list[StepRecord]:
    """Return the first steps of a run of the bundled model, always with the same seed."""
    config, first = config_of(bug), knobs_of(**knobs)
    check_knobs(config, first)
    return run_steps(config, first, num_steps, **({} if rewards is None else {"reward_funcs": [rewards]}))


def equal_rewards(prompts, **others):
    return [0.5] * len(prompts)


def rewards_by_prompt(prompts, **others):
    """1 for all completions of the first prompt, 0 for all others."""
    return [float(prompt == prompts[0]) for prompt in prompts]


@contextmanager
def catches() -> Iterator[None]:
    """Demand that what is asserted within does not hold."""
    with pytest.raises(AssertionError):
        yield


# --- What catches each mistake -------------------------------------------------------------------------------------


def assert_first_ratios_are_1(records: list[StepRecord]) -> None:
    for record in records:
        assert (tokens_of(record, lambda c: c.ratio_by_update[0]) == 1).all()


def test_the_ratio_is_exactly_1_before_the_first_update():
    assert_first_ratios_are_1(run("none", 2))
    with catches():
        assert_first_ratios_are_1(run("ratio_to_reference", 2))


def assert_moves_along_reinforce(bug: str, policies: list[Policy]) -> None:
    """The second route: autograd of Σ w·A·log π over the recorded tokens, on a policy that has not been trained."""
    [record] = run(bug)
    fresh = load_policy(config_of(bug))
    gain = sum(c.weight * c.advantage * logps_of(fresh, group.prompt, c).sum() for group, c in recorded(record))
    reinforce = torch.cat([g.flatten() for g in torch.autograd.grad(gain, fresh.trainable)])
    moved = adapter_of(policies[-1]) - adapter_of(fresh)
    assert torch.cosine_similarity(moved, reinforce, dim=0) > 0.999


def recorded(record: StepRecord) -> Iterator[tuple[Any, CompletionRecord]]:
    return ((group, completion) for group in record.groups for completion in group.completions)


def logps_of(policy: Policy, prompt: str, completion: CompletionRecord) -> torch.Tensor:
    prompt_ids: Any = policy.tokenizer(prompt)["input_ids"]
    ids = torch.tensor([prompt_ids + completion.token_ids.tolist()])
    logps = policy.model(input_ids=ids).logits[0].log_softmax(-1)
    return logps[:-1].gather(1, ids[0, 1:, None])[len(prompt_ids) - 1 :, 0]


@pytest.fixture
def policies(monkeypatch) -> list[Policy]:
    """Collect the policies that runs train."""
    loaded: list[Policy] = []

    def watched(config: RunConfig) -> Policy:
        loaded.append(load_policy(config))
        return loaded[-1]

    monkeypatch.setattr(trainer, "load_policy", watched)
    return loaded


def test_the_first_update_moves_the_adapter_along_the_reinforce_gradient(policies, monkeypatch):
    """With SGD, whose step is the gradient; Adam's first is its sign."""
    monkeypatch.setattr(torch.optim, "AdamW", torch.optim.SGD)
    assert_moves_along_reinforce("none", policies)
    with catches():
        assert_moves_along_reinforce("ratio_inverted", policies)


def assert_moves(bug: str, policies: list[Policy]) -> None:
    [record] = run(bug)
    assert not all(group.is_dead for group in record.groups)
    assert record.metrics["grad_norm"] > 1e-3
    assert not torch.equal(adapter_of(policies[-1]), adapter_of(load_policy(config_of(bug))))


def test_advantages_that_differ_move_the_weights(policies):
    assert_moves("none", policies)
    with catches():
        assert_moves("logps_without_gradient", policies)


def share_of_the_kl_gradient(bug: str, policy: Policy, beta: float) -> float:
    """Return how far the penalty's expected gradient goes along that of β·KL(π‖π_ref), by enumeration.

    Each token of the vocabulary is a completion of its own, as probable as the policy says, so that the sum over
    them is the expectation over what the policy would sample. 1: the gradient that is wanted.
    """
    size = policy.model.config.vocab_size
    prompts, ones = encode_prompts(policy, PROMPTS[:1]), torch.ones(size, 1, dtype=torch.bool)
    ids = torch.arange(size)[:, None]
    batch = TokenBatch(prompts.ids.expand(size, -1), prompts.mask.expand(size, -1), ids, ones, ones, 1.0)
    ref_logps = score_reference(policy, batch, size)
    scores = score(policy, batch)
    probabilities = scores.logps.exp()
    weights = BatchWeights(probabilities.detach(), torch.zeros(size, 1), ones)
    hooks, no_advantages = HOOKS[bug], torch.zeros(size)
    objective = hooks.objective(
        PolicyGradient(no_advantages, ref_logps, batch, weights, hooks.knobs(knobs_of(beta=beta)))
    )
    penalty = objective.terms(torch.arange(size), batch, scores, None).loss
    kl = (probabilities * (scores.logps - ref_logps)).sum()
    pulled, wanted = (
        torch.cat([g.flatten() for g in torch.autograd.grad(value, policy.trainable, retain_graph=True)])
        for value in (penalty, beta * kl)
    )
    return (pulled @ wanted / (wanted @ wanted)).item()


def assert_penalty_pulls(share: float) -> None:
    assert share > 0.5


def test_the_expected_gradient_of_the_kl_penalty_is_along_that_of_the_kl(make_policy):
    policy = make_policy(lora_scale=0.02)
    assert_penalty_pulls(share_of_the_kl_gradient("none", policy, beta=0.5))
    with catches():
        assert_penalty_pulls(share_of_the_kl_gradient("k1_as_loss", policy, beta=0.5))
    assert abs(share_of_the_kl_gradient("k1_as_loss", policy, beta=0.5)) < 1e-3


def assert_no_advantage(record: StepRecord) -> None:
    assert all(group.is_dead for group in record.groups)
    assert all(c.advantage == 0 for c in completions_of(record))


def test_equal_rewards_in_a_group_give_its_completions_no_advantage():
    assert_no_advantage(*run("none", rewards=rewards_by_prompt))
    with catches():
        assert_no_advantage(*run("batch_mean_baseline", rewards=rewards_by_prompt))


def assert_ends_are_learned(record: StepRecord) -> None:
    ended = [c for c in completions_of(record) if not c.is_truncated and c.advantage != 0]
    assert len(ended) > 4
    for c in ended:
        assert c.coefficients_by_update[0, -1] == pytest.approx(c.weight * c.advantage, rel=1e-4)


def test_the_end_of_sequence_token_has_a_coefficient():
    assert_ends_are_learned(*run("none"))
    with catches():
        assert_ends_are_learned(*run("eos_not_in_mask"))


def assert_scoring_repeats_sampling(records: list[StepRecord]) -> None:
    for record in records:
        assert np.abs(tokens_of(record, lambda c: c.old_logps - c.sampled_logps)).max() < ROUNDING


@pytest.mark.parametrize("bug", ["padding_shift", "temperature_forgotten"])
def test_scoring_gives_the_log_probabilities_that_sampling_recorded(bug):
    assert_scoring_repeats_sampling(run("none", 2, temperature=0.7))
    with catches():
        assert_scoring_repeats_sampling(run(bug, 2, temperature=0.7))


# --- How each mistake shows ----------------------------------------------------------------------------------------


def test_with_the_ratio_to_the_reference_the_clip_cuts_before_anything_has_moved():
    knobs = {"num_iterations": 2, "beta": 0.04, "learning_rate": 2e-3}
    healthy, buggy = (run(bug, 5, **knobs) for bug in ("none", "ratio_to_reference"))
    for record in healthy:
        assert (record.updates[0]["ratio_min"], record.updates[0]["ratio_max"]) == (1, 1)
        assert record.updates[0]["zero_gradient"] == 0
    assert max(record.updates[0]["ratio_max"] for record in buggy) > 1.5
    assert all(record.updates[0]["zero_gradient"] > 0.01 for record in buggy[3:])


def change_along_advantages(record: StepRecord) -> float:
    """Return Σ A·Δlog π over the tokens, Δ from the first inner update's pass to the last one's."""
    return sum(
        float(c.advantage * (c.logps_by_update[-1] - c.logps_by_update[0]).sum()) for c in completions_of(record)
    )


def test_with_the_ratio_upside_down_good_completions_become_less_likely_and_the_reward_falls():
    healthy, buggy = (run(bug, 6, num_iterations=4) for bug in ("none", "ratio_inverted"))
    assert sum(map(change_along_advantages, healthy)) > 10
    assert sum(map(change_along_advantages, buggy)) < -10
    for record, sign in ((healthy[0], 1), (buggy[0], -1)):
        pushed = tokens_of(record, lambda c: c.coefficients_by_update[0] * np.sign(c.advantage))
        assert (sign * pushed >= 0).all() and (sign * pushed > 0).any()
    reached, sunk = (np.mean([record.metrics["reward"] for record in records[-3:]]) for records in (healthy, buggy))
    assert reached > sunk + 0.5 and sunk < buggy[0].metrics["reward"] - 0.1


def test_without_a_gradient_there_is_a_loss_but_no_ratio_leaves_1_and_the_kl_stays_0():
    healthy, buggy = (run(bug, 3, num_iterations=4, loss_type="dapo") for bug in ("none", "logps_without_gradient"))
    assert buggy[0].updates[0]["loss"] == healthy[0].updates[0]["loss"] and abs(buggy[0].updates[0]["loss"]) > 1e-3
    for record in buggy:
        assert record.metrics["grad_norm"] == record.metrics["kl"] == 0
        assert (tokens_of(record, lambda c: c.ratio_by_update.ravel()) == 1).all()
        assert (tokens_of(record, lambda c: c.coefficients_by_update.ravel()) == 0).all()
    assert healthy[0].metrics["grad_norm"] > 0.01
    assert healthy[-1].metrics["kl"] > 1e-4
    assert healthy[0].updates[-1]["ratio_max"] > 1.2


def k3_of(record: StepRecord) -> float:
    d = tokens_of(record, lambda c: c.ref_logps - c.logps)
    return float((np.expm1(d) - d).mean())


def test_with_k1_as_the_penalty_dead_groups_push_and_the_policy_walks_away_from_the_reference():
    """Rewards are all equal, so the pull to the reference is the only force, and at step 1 it has nothing to pull."""
    healthy, buggy = (run(bug, 4, rewards=equal_rewards, beta=0.5) for bug in ("none", "k1_as_loss"))
    for record in healthy:
        assert record.metrics["grad_norm"] == record.metrics["kl"] == k3_of(record) == 0
        assert all(group.budget[0]["kl"] == 0 for group in record.groups)
    for group in buggy[0].groups:
        weights = sum(c.weight * len(c.tokens) for c in group.completions)
        assert group.budget[0]["kl"] == pytest.approx(0.5 * weights, rel=1e-4)
    assert all(record.metrics["grad_norm"] > 0.01 for record in buggy)
    assert k3_of(buggy[-1]) > 1e-4
    assert (tokens_of(buggy[-1], lambda c: c.kl) < 0).mean() > 0.1
    assert buggy[0].knobs.kl_estimator == "k1"


def test_with_the_batch_as_baseline_all_answers_to_a_question_are_pushed_the_same_way():
    [healthy], [buggy] = (run(bug, rewards=rewards_by_prompt) for bug in ("none", "batch_mean_baseline"))
    assert healthy.metrics["grad_norm"] == 0 and healthy.metrics["frac_reward_zero_std"] == 1
    assert {group.mean for group in buggy.groups} == {0.0, 1.0}
    for group in buggy.groups:
        sign = 1 if group.mean == 1 else -1
        assert all(sign * c.advantage > 0.1 for c in group.completions)
    assert buggy.metrics["grad_norm"] > 0.01 and buggy.metrics["frac_reward_zero_std"] == 1


def test_without_the_end_in_the_mask_no_end_has_a_coefficient_and_every_other_token_still_has():
    [healthy], [buggy] = (run(bug) for bug in ("none", "eos_not_in_mask"))
    for right, wrong in zip(completions_of(healthy), completions_of(buggy), strict=True):
        if right.is_truncated or right.advantage == 0:
            continue
        assert right.coefficients_by_update[0, -1] != 0 and wrong.coefficients_by_update[0, -1] == 0
        assert (wrong.coefficients_by_update[0, :-1] != 0).all()


def test_one_position_off_scoring_is_many_nats_away_while_every_first_ratio_is_still_1():
    healthy, buggy = (run(bug, 2, num_iterations=2) for bug in ("none", "padding_shift"))
    assert all(r.metrics["sampling/sampling_logp_difference/mean"] < 1e-5 for r in healthy)
    assert all(r.metrics["sampling/sampling_logp_difference/mean"] > 5 for r in buggy)
    assert_first_ratios_are_1(buggy)
    assert healthy[-1].updates[0]["logp_mean"] > -1 and buggy[-1].updates[0]["logp_mean"] < -5


def test_with_the_temperature_forgotten_the_entropy_is_not_the_one_that_was_sampled_with():
    [healthy], [buggy] = (run(bug, temperature=0.7) for bug in ("none", "temperature_forgotten"))
    sampled = tokens_of(healthy, lambda c: c.entropy).mean()
    assert healthy.metrics["entropy"] == pytest.approx(sampled, rel=1e-3)
    assert buggy.metrics["entropy"] > 1.3 * sampled
    assert healthy.metrics["sampling/sampling_logp_difference/max"] < ROUNDING
    assert buggy.metrics["sampling/sampling_logp_difference/max"] > 0.1
    assert_first_ratios_are_1([buggy])


# --- The record, and the healthy path ------------------------------------------------------------------------------


@pytest.fixture
def steps(monkeypatch) -> list[StepData]:
    """Collect what steps computed, before it is written down."""
    measured: list[StepData] = []
    measuring = step_module.measuring

    def watched(data, learner):
        measured.append(data)
        return measuring(data, learner)

    monkeypatch.setattr(step_module, "measuring", watched)
    return measured


@pytest.mark.parametrize("bug", BUGS)
def test_whatever_the_bug_push_and_pull_add_up_to_what_autograd_gave(steps, bug):
    run(bug, 2, num_iterations=2, beta=0.1, temperature=0.7)
    for data in steps:
        for update in data.updates.inner:
            parts = data.objective.parts(update)
            torch.testing.assert_close(parts.push + parts.kl_pull, update.coefficients, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("bug", BUGS)
def test_the_ratio_in_the_record_is_the_one_of_the_loss_but_for_the_inverted_one(steps, bug):
    records = run(bug, 2, num_iterations=2, beta=0.1, temperature=0.7)
    for data, record in zip(steps, records, strict=True):
        for row, completion in enumerate(completions_of(record)):
            used = np.stack([u.terms.ratio[row, : len(completion.tokens)].numpy() for u in data.updates.inner])
            used = 1 / used if bug == "ratio_inverted" else used
            learned = data.batch.loss_mask[row, : len(completion.tokens)].numpy()
            np.testing.assert_allclose(completion.ratio_by_update[:, learned], used[:, learned], rtol=1e-4)


def test_every_bug_in_words_is_one_that_the_engine_makes():
    assert list(HOOKS) == ["none", *BUGS]


def untimed(record: StepRecord) -> StepRecord:
    metrics = {name: value for name, value in record.metrics.items() if name != "step_time"}
    return replace(record, metrics=metrics, timings={}, limits={}, fast_paths=())


class _WithoutHooks(ast.NodeTransformer):
    """Put in the place of each hook what it was given first."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        is_hook = isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "bug"
        return node.args[0] if is_hook else node


def test_without_a_bug_a_run_is_bit_for_bit_one_of_a_step_that_has_no_hooks(monkeypatch):
    knobs = {"num_iterations": 2, "beta": 0.1, "temperature": 0.7}
    with_hooks = run("none", 2, **knobs)
    source = ast.parse(inspect.getsource(step_module))
    bare = ast.fix_missing_locations(_WithoutHooks().visit(source))
    assert "bug." in inspect.getsource(step_module.train_step) and "bug." not in ast.unparse(bare)
    names: dict[str, Any] = {"__name__": "bare"}
    exec(compile(bare, "bare", "exec"), names)
    monkeypatch.setattr(trainer, "train_step", names["train_step"])
    for first, second in zip(with_hooks, run("none", 2, **knobs), strict=True):
        assert is_same(untimed(first), untimed(second))
