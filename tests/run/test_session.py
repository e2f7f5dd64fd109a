import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.run.records import is_same
from workbench import ConfigError, KnobError, Knobs, RunConfig, Session, open_run
from workbench.run.recorder import RunFolder
from workbench.run.store import RunStore

ROOT = Path(__file__).parents[2]
KNOBS = Knobs(num_generations=2, max_completion_length=4)


def test_a_session_trains_as_many_steps_as_asked_and_goes_on_from_there(make_config):
    session = Session(make_config(max_steps=5), KNOBS)
    assert [record.step for record in session.run(2)] == [1, 2]
    assert [record.step for record in session.run(np.int64(1))] == [3]
    assert [record.step for record in session.run()] == [4, 5]
    assert list(session.run(3)) == []
    assert [record.step for record in session.records] == [1, 2, 3, 4, 5]


def test_a_knob_that_is_set_is_used_from_the_next_step_on_and_a_bad_one_changes_nothing(make_config):
    session = Session(make_config(), KNOBS)
    used = []
    for record in session.run(3):
        used.append((record.knobs.beta, record.knobs.epsilon))
        if record.step == 1:
            session.set(beta=0.1)
        with pytest.raises(KnobError, match="epsilon=7"):
            session.set(beta=0.9, epsilon=7)
    assert used == [(0.0, 0.2), (0.1, 0.2), (0.1, 0.2)]
    assert session.store.events() == [{"index": 0, "step": 2, "knob": "beta", "old": 0.0, "new": 0.1}]


def test_a_run_that_is_written_down_opens_as_it_was(make_config, tmp_path):
    session = Session(make_config(), KNOBS, out=tmp_path / "run")
    records = list(session.run(2))
    opened = RunStore.open(RunFolder(tmp_path / "run"), title="t", source="replay")
    assert opened.config == session.config and opened.knobs == KNOBS
    assert all(is_same(opened.record(record.step), record) for record in records)
    assert all(map(is_same, session.records, records))
    with pytest.raises(ConfigError, match="already holds a run"):
        Session(make_config(), KNOBS, out=tmp_path / "run")


def test_python_functions_may_be_the_rewards(make_config):
    def shortness(prompts, completions, **columns):
        return [-float(len(text)) for text in completions]

    session = Session(make_config(), KNOBS, reward_funcs=[shortness])
    [record] = session.run(1)
    for group in record.groups:
        for completion in group.completions:
            assert completion.rewards == {"shortness": -float(len(completion.text))}
            assert completion.reward == completion.rewards["shortness"] and completion.is_correct is None


def ones(completions, **columns):
    return [1.0 for _ in completions]


def test_one_python_function_alone_may_be_the_reward(make_config):
    [record] = Session(make_config(), KNOBS, reward_funcs=ones).run(1)
    assert {c.reward for group in record.groups for c in group.completions} == {1.0}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([], "reward_funcs is empty: give at least one function"),
        (["answer"], r"reward_funcs holds 'answer', which is not a function: names .* RunConfig\(reward_funcs=…\)"),
        ("answer", "reward_funcs holds 'answer', which is not a function"),
        ([ones, 3], "reward_funcs holds 3, which is not a function"),
        ([ones, ones], "two reward functions are called 'ones'"),
    ],
)
def test_own_rewards_that_are_no_functions_are_refused_when_the_session_is_made(given, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Session(reward_funcs=given)


def test_what_cannot_be_run_is_refused_when_the_session_is_made():
    for settings, sentence in (({"model": "nonsense"}, "nonsense"), ({"reward_weights": (1.0,)}, "reward_weights")):
        with pytest.raises(ConfigError, match=sentence):
            Session(RunConfig(**settings))


def test_a_run_that_was_interrupted_or_failed_says_so_and_does_not_seem_to_be_over(make_config):
    def rewards(completions, **columns):
        if session.store.num_rows:
            raise KeyboardInterrupt
        return [0.0 for _ in completions]

    session = Session(make_config(), KNOBS, reward_funcs=[rewards])
    with pytest.raises(KeyboardInterrupt):
        list(session.run())
    with pytest.raises(RuntimeError, match="ended after step 1 with KeyboardInterrupt: make a new Session"):
        next(session.run(1))
    assert [record.step for record in session.records] == [1]


def test_a_step_that_could_not_be_kept_ends_the_run(make_config, monkeypatch):
    def full(record):
        raise OSError("disk full")

    session = Session(make_config(), KNOBS, reward_funcs=[lambda completions, **columns: [0.0] * len(completions)])
    monkeypatch.setattr(session.store, "append", full)
    with pytest.raises(OSError, match="disk full"):
        next(session.run())
    with pytest.raises(RuntimeError, match="ended after step 0 with OSError"):
        next(session.run())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((Knobs(),), r"takes a RunConfig, then Knobs: Knobs\(.* is no RunConfig"),
        ((RunConfig(), {"beta": 0.1}), r"\{'beta': 0.1\} is no Knobs"),
    ],
)
def test_settings_of_another_kind_are_refused(arguments, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Session(*arguments)


@pytest.mark.parametrize("num_steps", ["3", 1.5, -1])
def test_a_number_of_steps_is_a_whole_one(num_steps):
    with pytest.raises(ConfigError, match=r"num_steps=.* is not allowed: it must be a whole number"):
        next(Session().run(num_steps))


def test_a_script_that_leaves_a_run_unfinished_ends_in_silence():
    script = "from workbench import *; s = Session(RunConfig(), Knobs(max_completion_length=2)); print(next(s.run()))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"StepRecord\(step=1, reward=[\d.]+, 8 groups, 64 completions\)\n", done.stdout)


def test_a_recorded_run_is_opened_by_its_folder(make_config, tmp_path):
    own = {"reward_funcs": [lambda completions, **columns: [0.0] * len(completions)]}
    records = list(Session(make_config(), KNOBS, out=tmp_path / "run", **own).run(2))
    store = open_run(str(tmp_path / "run"))
    assert [row["step"] for row in store.rows()] == [1, 2]
    assert store.record(2).metrics == records[1].metrics and len(repr(store.record(2).groups[0])) < 200
