"""Runs that are trained against a reward model which they train themselves."""

from dataclasses import replace

import numpy as np
import pytest

from tests.engine.arrays import completions_of, run_steps
from tests.run.records import is_same
from workbench.engine import rounds, trainer
from workbench.engine.learned_reward import LEARNED_REWARD
from workbench.errors import ConfigError
from workbench.run.config import RunConfig
from workbench.run.knobs import KnobBoard, Knobs
from workbench.run.record import Progress, StepRecord

KNOBS = Knobs(num_generations=4, max_completion_length=6, learning_rate=1e-2)
SMALL = {"learn_reward": True, "steps_per_round": 2, "reward_model_steps": 3, "max_steps": 5}


def brevity(prompts, completions, completion_ids, **columns):
    return [-float(len(ids)) for ids in completion_ids]


def picky(prompts, completions, **columns):
    """Nothing to say about every third completion."""
    return [None if i % 3 == 0 else float("e" in text) for i, text in enumerate(completions)]


def events_of(config, knobs=KNOBS, reward_funcs=(brevity,)):
    return list(trainer.train(config, KnobBoard(knobs), reward_funcs=reward_funcs))


def trained_before(events):
    """Return the steps before which the reward model was trained, in order."""
    return [event.step for event in events if isinstance(event, Progress) and event.stage == "reward_model"]


@pytest.fixture(scope="module")
def small_run(llama_folder) -> list[StepRecord]:
    config = RunConfig(model=str(llama_folder), prompts_per_step=2, device="cpu", reward_weights=(0.5, 2.0), **SMALL)
    return run_steps(config, KNOBS, reward_funcs=(brevity, picky))


@pytest.mark.parametrize(("refresh", "steps"), [(True, (1, 3, 5)), (False, (1,))])
def test_the_reward_model_is_trained_before_every_round_or_only_before_the_first(make_config, refresh, steps):
    events = events_of(make_config(refresh_reward_model=refresh, **SMALL))
    assert trained_before(events) == [step for step in steps for _ in range(1 + SMALL["reward_model_steps"])]
    records = [event for event in events if isinstance(event, StepRecord)]
    assert [record.metrics["round"] for record in records] == [1, 1, 2, 2, 3]
    assert [("reward_model" in record.timings) for record in records] == [step in steps for step in range(1, 6)]


def test_the_first_training_has_samples_of_its_own_which_are_counted_as_tokens(make_config):
    learned = run_steps(make_config(**SMALL), KNOBS, 1, reward_funcs=(brevity,))[0]
    texts = [len(g.prompt) * 4 + sum(len(c.token_ids) for c in g.completions) for g in learned.groups]
    written = sum(len(c.token_ids) for c in completions_of(learned))
    assert learned.metrics["num_tokens"] > rounds.NUM_FIRST_BATCHES * sum(texts) * 0.5 + sum(texts)
    assert learned.metrics["num_completion_tokens"] > written * (1 + rounds.NUM_FIRST_BATCHES * 0.5)


def test_every_training_has_the_pairs_of_the_round_before_and_then_they_are_history(make_config, monkeypatch):
    seen = []
    train = rounds.LearnedReward.train

    def watched(self, step):
        seen.append((list(self.pool.newest), list(self.pool.earlier)))
        return train(self, step)

    monkeypatch.setattr(rounds.LearnedReward, "train", watched)
    records = run_steps(make_config(**SMALL), KNOBS, reward_funcs=(brevity,))
    (first, before_first), (second, before_second), (third, before_third) = seen
    assert first and not before_first
    assert sorted(before_second) == sorted(first) and sorted(before_third) == sorted(first + second)
    for newest, steps in ((second, records[0:2]), (third, records[2:4])):
        expected = [
            (group.prompt + better.text, group.prompt + worse.text)
            for record in steps
            for group in record.groups
            for better in group.completions
            for worse in group.completions
            if better.true_reward > worse.true_reward
        ]
        assert sorted(newest) == sorted(expected)


def test_only_the_learned_reward_counts_and_the_true_one_is_shown_beside_it(small_run):
    for record in small_run:
        assert record.reward_weights == {LEARNED_REWARD: 1.0, "brevity": 0.0, "picky": 0.0}
        assert record.reward_max is None
        for group in record.groups:
            scores = np.array([c.rewards[LEARNED_REWARD] for c in group.completions])
            expected = (scores - scores.mean()) / (scores.std(ddof=1) + record.knobs.std_eps)
            assert [c.advantage for c in group.completions] == pytest.approx(expected.tolist(), abs=2e-3)
            for c in group.completions:
                assert c.reward == pytest.approx(c.rewards[LEARNED_REWARD], rel=1e-6)
                parts = [
                    weight * c.rewards[name]
                    for name, weight in (("brevity", 0.5), ("picky", 2.0))
                    if c.rewards[name] is not None
                ]
                assert c.true_reward == pytest.approx(sum(parts), rel=1e-6)
    assert any(c.rewards["picky"] is None for c in completions_of(small_run[0]))


def test_the_reward_models_metrics_are_those_of_the_steps_own_pairs(small_run):
    num_without_pairs = 0
    for record in small_run:
        pairs = [
            (a.rewards[LEARNED_REWARD], b.rewards[LEARNED_REWARD])
            for group in record.groups
            for a in group.completions
            for b in group.completions
            if a.true_reward > b.true_reward
        ]
        if not pairs:
            num_without_pairs += 1
            assert record.metrics["reward_model/accuracy"] is None is record.metrics["reward_model/loss"]
            continue
        right = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs]
        loss = [np.log1p(np.exp(b - a)) for a, b in pairs]
        learned, true = zip(*((c.reward, c.true_reward) for c in completions_of(record)), strict=True)
        assert record.metrics["reward_model/accuracy"] == pytest.approx(np.mean(right), abs=1e-6)
        assert record.metrics["reward_model/loss"] == pytest.approx(np.mean(loss), abs=1e-5)
        assert record.metrics["reward_model/correlation"] == pytest.approx(np.corrcoef(learned, true)[0, 1], abs=1e-4)
        assert record.metrics["true_reward"] == pytest.approx(np.mean(true), abs=1e-5)
    assert num_without_pairs < len(small_run)


def test_without_a_learned_reward_there_is_no_true_one_beside_the_reward(make_config):
    [record] = run_steps(make_config(), KNOBS, 1)
    assert all(c.true_reward is None for c in completions_of(record))
    assert not {"true_reward", "round", "reward_model/accuracy"} & record.metrics.keys()


def test_where_all_true_rewards_are_equal_nothing_is_learned_and_the_metrics_say_none(make_config):
    def same(prompts, **columns):
        return [1.0] * len(prompts)

    records = run_steps(make_config(**SMALL), KNOBS, 2, reward_funcs=(same,))
    for record in records:
        assert record.metrics["true_reward"] == 1.0
        assert {record.metrics[f"reward_model/{name}"] for name in ("accuracy", "loss", "correlation")} == {None}


def test_the_same_seed_gives_the_same_run_bit_for_bit(make_config):
    def without_times(record):
        metrics = {name: value for name, value in record.metrics.items() if name != "step_time"}
        return replace(record, metrics=metrics, timings={}, limits={}, fast_paths=(), memory={})

    first, again = (
        list(map(without_times, run_steps(make_config(**SMALL), KNOBS, reward_funcs=(brevity,)))) for _ in range(2)
    )
    assert len(first) == 5 and all(map(is_same, first, again))


def test_how_the_reward_model_is_trained_does_not_touch_what_the_policy_draws(make_config):
    """With a learning rate of 0 the policy stays, so that only randomness could make a difference."""
    knobs = KNOBS.changed({"learning_rate": 0.0})
    texts = []
    for num_steps in (1, 6):
        config = make_config(**SMALL | {"reward_model_steps": num_steps})
        records = run_steps(config, knobs, reward_funcs=(brevity,))
        texts.append([c.text for record in records for c in completions_of(record)])
    assert texts[0] == texts[1]


def test_a_round_can_begin_from_the_policy_as_its_reference(make_config):
    config = make_config(sync_ref_model=True, ref_model_sync_steps=2, **SMALL)
    records = run_steps(config, KNOBS, reward_funcs=(brevity,))
    begins_at_zero = [all((c.kl_by_update[0] == 0).all() for c in completions_of(record)) for record in records]
    assert begins_at_zero == [True, False, True, False, True]


def test_the_run_can_be_closed_at_any_event_of_the_reward_models_training(make_config):
    config = make_config(**SMALL | {"max_steps": 1})
    num_events = len(events_of(config))
    for stop_after in range(1, num_events, 8):
        engine = trainer.train(config, KnobBoard(KNOBS), reward_funcs=(brevity,))
        events = [next(engine) for _ in range(stop_after)]
        engine.close()
        assert len(events) == stop_after and next(engine, None) is None


def test_a_function_called_like_the_learned_reward_is_refused(make_config):
    def learned_reward(prompts, **columns):
        return [0.0] * len(prompts)

    with pytest.raises(ConfigError, match="two reward functions are called 'learned_reward'"):
        run_steps(make_config(**SMALL), KNOBS, 1, reward_funcs=(learned_reward,))


def test_against_its_learned_reward_the_bundled_model_gets_better_at_the_true_one():
    config = RunConfig(learn_reward=True, device="cpu", seed=0, reward_model_steps=15, steps_per_round=6, max_steps=10)
    knobs = Knobs(learning_rate=1e-3, max_completion_length=48)
    records = run_steps(config, knobs)

    def mean(name, part):
        return np.mean([record.metrics[name] for record in part])

    assert mean("reward_model/accuracy", records[:3]) > 0.65, "on pairs that it was not trained on; 0.5 is chance"
    assert mean("reward_model/correlation", records[:3]) > 0.35
    first_round = records[:6]
    assert mean("reward", first_round[-2:]) > mean("reward", first_round[:2]) + 0.3
    assert mean("true_reward", records[-3:]) > mean("true_reward", records[:3]) + 0.15

    def share_correct(part):
        return np.mean([c.is_correct for record in part for c in completions_of(record)])

    assert share_correct(records[-3:]) > share_correct(records[:3]) + 0.1
