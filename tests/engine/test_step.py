import math

import numpy as np
import pytest

from tests.engine.arrays import completions_of, run_steps, tokens_of
from workbench.engine import trainer
from workbench.errors import ConfigError, DivergedError
from workbench.run.knobs import KnobBoard, Knobs
from workbench.run.record import STAGES, Progress, StepRecord
from workbench.tasks.rewards import RewardError

KNOBS = Knobs(num_generations=3, max_completion_length=6, learning_rate=1e-2)


@pytest.fixture
def policies(monkeypatch):
    """Collect the policies that runs load, to look at their weights."""
    loaded = []
    load = trainer.load_policy

    def watched(config):
        loaded.append(load(config))
        return loaded[-1]

    monkeypatch.setattr(trainer, "load_policy", watched)
    return loaded


def assert_has_not_moved(policy):
    """LoRA's B begins as zero, and any update moves it."""
    assert all((weight == 0).all() for name, weight in policy.model.named_parameters() if "lora_B" in name)


def rewards_of(*values):
    """Return a reward function that gives these values over and over."""

    def given(prompts, **others):
        return [values[i % len(values)] for i in range(len(prompts))]

    return [given]


def test_a_step_passes_through_the_stages_in_their_order(make_config):
    knobs = KNOBS.changed({"num_iterations": 2})
    events = list(trainer.train(make_config(max_steps=2), KnobBoard(knobs)))
    for step in (1, 2):
        stages = [event.stage for event in events if isinstance(event, Progress) and event.step == step]
        assert list(dict.fromkeys(stages)) == [s for s in STAGES if s not in ("load", "reward_model")]
        assert stages.count("update") == 2 and stages == sorted(stages, key=STAGES.index)
    assert isinstance(events[-1], StepRecord) and events[0] == Progress(0, "load")


def test_the_record_shows_the_prompts_targets_and_rewards_of_its_examples(make_config):
    [record] = run_steps(make_config(), KNOBS, 1)
    assert len(record.groups) == 2 and record.device == "cpu"
    for group in record.groups:
        first, second = group.prompt.removesuffix("=?").split("+")
        assert int(group.target) == int(first) + int(second)
        assert len(group.completions) == 3
        for c in group.completions:
            weighted = sum(record.reward_weights[name] * reward for name, reward in c.rewards.items())
            assert c.reward == pytest.approx(weighted) and all(c.reasons.values())
    assert record.knobs is not None and record.reward_max == pytest.approx(1.5)


def test_the_reference_is_the_policy_at_step_1(make_config):
    first, second = run_steps(make_config(), KNOBS, 2, reward_funcs=rewards_of(0.0, 1.0, 3.0))
    assert (tokens_of(first, lambda c: c.kl) == 0).all() and first.metrics["kl"] == 0
    assert second.metrics["kl"] > 0


def test_without_beta_and_without_display_the_reference_is_not_scored(make_config):
    board_knobs = KNOBS.changed({"beta": 0.0})
    [record] = run_steps(make_config(score_reference=False), board_knobs, 1)
    assert all(c.ref_logps is None and c.kl is None for c in completions_of(record))
    assert record.metrics["kl"] is None and record.updates[0]["kl"] is None
    [record] = run_steps(make_config(score_reference=False), KNOBS.changed({"beta": 0.1}), 1)
    assert all(c.ref_logps is not None for c in completions_of(record)) and record.metrics["kl"] == 0


def test_equal_rewards_make_dead_groups_and_move_nothing(make_config, policies):
    [record] = run_steps(make_config(), KNOBS, 1, reward_funcs=rewards_of(0.7))
    assert all(group.is_dead for group in record.groups)
    assert all(c.advantage == 0 for c in completions_of(record))
    assert (record.metrics["frac_reward_zero_std"], record.metrics["loss"], record.metrics["grad_norm"]) == (1, 0, 0)
    assert_has_not_moved(policies[0])


def test_where_no_function_applies_there_is_no_reward_and_no_advantage(make_config):
    [record] = run_steps(make_config(), KNOBS, 1, reward_funcs=rewards_of(None))
    assert all(c.reward is None and c.advantage == 0 for c in completions_of(record))
    assert all(group.mean is None and group.std is None and group.is_dead for group in record.groups)
    assert record.metrics["reward"] is None and record.row()["reward_low"] is None


def test_a_reward_that_applies_to_some_counts_those_alone(make_config):
    [record] = run_steps(make_config(), KNOBS, 1, reward_funcs=rewards_of(1.0, None, math.nan))
    for group in record.groups:
        assert [c.reward for c in group.completions] == [1.0, None, None]
        assert group.mean == 1.0 and group.std is None and group.is_dead
    [record] = run_steps(make_config(), KNOBS, 1, reward_funcs=rewards_of(1.0, None, 0.0))
    for group in record.groups:
        good, unscored, bad = (c.advantage for c in group.completions)
        assert good == pytest.approx(-bad) and good > 0 and unscored == 0
        assert group.mean == 0.5 and not group.is_dead


@pytest.mark.parametrize("returned", [ZeroDivisionError("division by zero"), [1.0], [math.inf] * 6, ["x"] * 6])
def test_a_broken_reward_function_ends_the_run_by_its_name_and_moves_nothing(make_config, policies, returned):
    def broken(prompts, **others):
        if isinstance(returned, Exception):
            raise returned
        return returned

    with pytest.raises(RewardError, match="'broken'"):
        run_steps(make_config(), KNOBS, 1, reward_funcs=[broken])
    assert_has_not_moved(policies[0])


def test_completions_that_are_all_truncated_train_as_any_others(make_config, policies):
    knobs = KNOBS.changed({"max_completion_length": 1, "num_generations": 4})
    record = next(
        r for r in run_steps(make_config(max_steps=20), knobs) if all(c.is_truncated for c in completions_of(r))
    )
    m = record.metrics
    assert m["completions/clipped_ratio"] == 1.0
    assert m["completions/mean_terminated_length"] == m["completions/max_terminated_length"] == 0
    [record] = run_steps(make_config(), knobs, 1, reward_funcs=rewards_of(0.0, 1.0))
    assert record.metrics["grad_norm"] > 0
    with pytest.raises(AssertionError):
        assert_has_not_moved(policies[-1])


def test_a_prompt_that_is_too_long_ends_the_run_in_a_sentence(make_config, tmp_path):
    dataset = tmp_path / "prompts.jsonl"
    dataset.write_text('{"prompt": "' + "1" * 200 + '"}\n')
    with pytest.raises(ConfigError, match="has 200 tokens; the model takes fewer than 96"):
        run_steps(make_config(dataset=str(dataset)), KNOBS, 1)


def test_a_model_that_gives_no_finite_logits_ends_the_run_in_a_sentence(make_config, policies):
    engine = trainer.train(make_config(), KnobBoard(KNOBS))
    for event in engine:
        if isinstance(event, StepRecord):
            break
    for weight in policies[0].trainable:
        weight.data.fill_(math.nan)
    with pytest.raises(DivergedError, match="lower the learning rate or raise β"):
        list(engine)


def test_messages_of_a_dataset_reach_the_model_by_the_template_and_the_rewards_as_messages(
    make_config, chat_folder, tmp_path
):
    dataset = tmp_path / "prompts.jsonl"
    dataset.write_text('{"prompt": [{"role": "user", "content": "1+2=?"}], "target": "3", "level": 7}\n')
    seen = []

    def spy(prompts, completions, level, target, **others):
        seen.append((prompts, completions, level, target))
        return [0.0] * len(prompts)

    config = make_config(model=str(chat_folder), dataset=str(dataset), prompts_per_step=1)
    [record] = run_steps(config, KNOBS, 1, reward_funcs=[spy])
    assert record.groups[0].prompt == "<user>1+2=?\n<assistant>" and record.groups[0].target == "3"
    [(prompts, completions, level, target)] = seen
    assert prompts == [[{"role": "user", "content": "1+2=?"}]] * 3
    assert (level, target) == ([7] * 3, ["3"] * 3)
    texts = [c.text for c in record.groups[0].completions]
    assert completions == [[{"role": "assistant", "content": text}] for text in texts]


@pytest.mark.parametrize("num_iterations", [1, 3])
def test_any_causal_model_trains_in_float32_and_bfloat16(make_config, any_folder, num_iterations):
    knobs = KNOBS.changed({"num_iterations": num_iterations, "beta": 0.05})
    for dtype in ("float32", "bfloat16"):
        for record in run_steps(
            make_config(model=str(any_folder), dtype=dtype), knobs, 2, reward_funcs=rewards_of(0.0, 1.0, 3.0)
        ):
            assert all(value is not None and math.isfinite(value) for value in record.metrics.values())
            assert (tokens_of(record, lambda c: c.ratio_by_update[0]) == 1).all()
            assert record.metrics["grad_norm"] > 0
        assert record.metrics["kl"] > 0
        difference = np.abs(tokens_of(record, lambda c: c.sampled_logps - c.old_logps)).max()
        assert difference < {"float32": 1e-4, "bfloat16": 0.3}[dtype]
