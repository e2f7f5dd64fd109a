"""Dynamic sampling: dead groups are drawn again, for a bounded number of rounds, and nothing gets mixed up."""

import itertools

import pytest

from tests.engine.arrays import completions_of, run_steps
from workbench.run.knobs import Knobs
from workbench.tasks.registry import get_task

KNOBS = Knobs(num_generations=3, max_completion_length=6, learning_rate=0.0)


class Rewards:
    """Gives equal rewards to the prompts of `dead`, others to the rest; remembers what it saw."""

    def __init__(self, is_dead):
        self.is_dead, self.seen = is_dead, []

    def __call__(self, prompts, completions, **columns):
        self.seen.append(list(prompts[::3]))
        return [0.5 if self.is_dead(prompt) else float(i % 3) for i, prompt in enumerate(prompts)]


def prompts_of(seed, number):
    return [example["prompt"] for example in itertools.islice(get_task("addition").examples(seed), number)]


def test_what_a_reward_function_logs_becomes_a_metric_and_it_is_told_the_step_as_by_trl(make_config):
    def mine(prompts, trainer_state, log_metric, **others):
        log_metric("seen", trainer_state.global_step / trainer_state.max_steps)
        return [float(i % 3) for i in range(len(prompts))]

    records = run_steps(make_config(max_steps=2), KNOBS, reward_funcs=[mine])
    assert [record.metrics["seen"] for record in records] == [0.0, 0.5]


def test_a_group_whose_rewards_differ_by_little_beside_their_size_is_not_dead(make_config):
    def near(prompts, **others):
        return [20000.001 + 0.001 * (i % 3) for i in range(len(prompts))]

    (record,) = run_steps(make_config(max_steps=1), KNOBS, reward_funcs=[near])
    group = record.groups[0]
    assert not group.is_dead and record.metrics["frac_reward_zero_std"] == 0
    assert group.std == pytest.approx(0.001) and group.completions[0].reward == 20000.001
    assert group.completions[0].advantage == pytest.approx(-0.001 / (0.001 + 1e-4), rel=1e-4)


def test_dead_groups_are_replaced_by_groups_of_the_next_prompts(make_config):
    drawn = prompts_of(0, 6)
    rewards = Rewards(lambda prompt: prompt in (drawn[1], drawn[3], drawn[4]))
    config = make_config(prompts_per_step=4)
    [record] = run_steps(config, KNOBS.changed({"max_num_gen_batches": 8}), 1, reward_funcs=[rewards])
    assert rewards.seen[:2] == [drawn[:4], drawn[4:6]], "two were dead, so two new ones were drawn"
    assert [group.prompt for group in record.groups][:3] == [drawn[0], drawn[2], drawn[5]]
    assert len(record.groups) == 4 and not any(group.is_dead for group in record.groups)
    assert record.metrics["dynamic_sampling/num_gen_batches"] == 3
    assert record.metrics["dynamic_sampling/num_discarded_groups"] == 3


def test_a_completion_stays_with_its_prompt_its_reward_and_its_tokens(make_config):
    """Once with rows thrown away, once without: what is kept is the same, number by number."""
    drawn = prompts_of(0, 4)
    rewards = Rewards(lambda prompt: prompt == drawn[1])
    dynamic = KNOBS.changed({"max_num_gen_batches": 3})
    [record] = run_steps(make_config(prompts_per_step=4), dynamic, 1, reward_funcs=[rewards])
    [plain] = run_steps(make_config(prompts_per_step=4), KNOBS, 1, reward_funcs=[rewards])
    expected = {group.prompt: group for group in plain.groups if not group.is_dead}
    for group in record.groups[:3]:
        for ours, theirs in zip(group.completions, expected[group.prompt].completions, strict=True):
            assert ours.text == theirs.text and ours.reward == theirs.reward
            assert ours.sampled_logps == pytest.approx(theirs.sampled_logps, abs=1e-6)
            assert ours.old_logps == pytest.approx(theirs.old_logps, abs=1e-5)


def test_the_rounds_are_bounded_and_what_is_left_dead_stays(make_config):
    rewards = Rewards(lambda prompt: True)
    knobs = KNOBS.changed({"max_num_gen_batches": 3})
    [record] = run_steps(make_config(prompts_per_step=2), knobs, 1, reward_funcs=[rewards])
    assert len(rewards.seen) == 3 and all(group.is_dead for group in record.groups)
    assert record.metrics["dynamic_sampling/num_gen_batches"] == 3
    assert record.metrics["dynamic_sampling/num_discarded_groups"] == 4


def test_thrown_away_tokens_are_counted(make_config):
    rewards = Rewards(lambda prompt: True)
    knobs = KNOBS.changed({"max_num_gen_batches": 3})
    [record] = run_steps(make_config(prompts_per_step=2), knobs, 1, reward_funcs=[rewards])
    kept = sum(len(c.token_ids) for c in completions_of(record))
    assert kept < record.metrics["num_completion_tokens"] <= 3 * 2 * 3 * 6
    [record] = run_steps(make_config(prompts_per_step=2), KNOBS, 1, reward_funcs=[rewards])
    assert record.metrics["num_completion_tokens"] == sum(len(c.token_ids) for c in completions_of(record))


def test_without_dynamic_sampling_a_dead_group_stays(make_config):
    rewards = Rewards(lambda prompt: True)
    [record] = run_steps(make_config(prompts_per_step=2), KNOBS, 1, reward_funcs=[rewards])
    assert len(rewards.seen) == 1 and all(group.is_dead for group in record.groups)
    assert "dynamic_sampling/num_gen_batches" not in record.metrics
