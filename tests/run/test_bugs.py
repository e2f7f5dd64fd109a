import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest

from workbench.errors import KnobError
from workbench.run.bugs import BUGS
from workbench.run.check import check_knobs
from workbench.run.completion import CompletionRecord, GroupRecord
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs
from workbench.run.metrics import METRICS
from workbench.run.record import StepRecord

ROOT = Path(__file__).parents[2]
CHINESE = re.compile(r"[\u4e00-\u9fff]")
OF_UPDATES_AND_BUDGETS = {"ratio_max", "kl"}


def test_a_run_takes_any_bug_of_the_zoo_and_none_by_default():
    [setting] = [f for f in fields(RunConfig) if f.name == "bug"]
    assert setting.metadata["choices"] == ("none", *BUGS) and len(BUGS) == 8
    assert RunConfig().bug == "none"


@pytest.mark.parametrize("name", BUGS)
def test_every_bug_is_told_in_both_languages(name):
    bug = BUGS[name]
    for english, chinese in (bug.title, bug.mistake, bug.symptom, bug.reading, bug.source):
        assert CHINESE.search(chinese) and not CHINESE.search(english)
    for english, chinese in (bug.mistake, bug.symptom, bug.reading):
        assert english.endswith(".") and chinese.endswith("。")


@pytest.mark.parametrize("name", BUGS)
def test_the_knobs_under_which_a_bug_shows_are_allowed_with_it(name):
    check_knobs(RunConfig(bug=name), Knobs(**BUGS[name].knobs))


@pytest.mark.parametrize("name", BUGS)
def test_the_test_that_catches_a_bug_is_there(name):
    path, test = BUGS[name].caught_by.split("::")
    tree = ast.parse((ROOT / path).read_text())
    assert test in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("name", BUGS)
def test_the_number_that_shows_a_bug_is_one_that_is_recorded(name):
    metric = BUGS[name].metric
    recorded = {f.name for record in (StepRecord, GroupRecord, CompletionRecord) for f in fields(record)}
    parts = re.sub(r"\[[^]]*\]", "", metric).split(".")
    assert metric in METRICS or all(part in recorded | OF_UPDATES_AND_BUDGETS for part in parts)


@pytest.mark.parametrize(
    ("settings", "knobs", "reason"),
    [
        ({"bug": "k1_as_loss", "method": "ppo"}, {"beta": 0.1}, "method='ppo' does not run that code"),
        ({"bug": "k1_as_loss"}, {}, "shows only where a reference pulls"),
        ({"bug": "k1_as_loss"}, {"beta": 0.1, "kl_in": "reward"}, "takes the KL out of it"),
        ({"bug": "ratio_to_reference", "score_reference": False}, {}, "leaves it unscored"),
        ({"bug": "ratio_to_reference"}, {"loss_type": "online"}, "loss_type='online' has none"),
        ({"bug": "ratio_inverted"}, {"loss_type": "cispo", "epsilon_high": 5.0}, "loss_type='cispo' does not"),
        ({"bug": "ratio_inverted"}, {"use_bias_correction_kl": True}, "the ratio of the surrogate alone"),
        ({"bug": "ratio_inverted"}, {"off_policy_mask_threshold": 0.5}, "the ratio of the surrogate alone"),
        ({"bug": "temperature_forgotten"}, {}, "shows only at a temperature other than 1"),
        ({"bug": "batch_mean_baseline"}, {"advantage_estimator": "rloo"}, "advantage_estimator='grpo': take these"),
        ({"bug": "batch_mean_baseline", "prompts_per_step": 1}, {}, "take prompts_per_step above 1"),
    ],
)
def test_a_bug_that_could_not_show_is_refused_with_the_reason(settings, knobs, reason):
    with pytest.raises(KnobError, match=re.escape(reason)):
        check_knobs(RunConfig(**settings), Knobs(**knobs))


def test_a_bug_that_needs_the_reference_takes_it_scored_for_display():
    check_knobs(RunConfig(bug="ratio_to_reference"), Knobs(beta=0.0))
