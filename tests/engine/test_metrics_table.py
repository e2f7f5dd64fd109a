"""The words of the page, the hovers and the README cover every number that a step measures, and no other."""

import re

import pytest

from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs
from workbench.run.metrics import METRICS
from workbench.run.record import StepRecord
from workbench.run.session import Session
from workbench.views.memory import PARTS, owned

SMALL = {"num_generations": 4, "max_completion_length": 8, "beta": 0.1}
RUNS = {
    "grpo": ({}, {}),
    "cispo": ({}, {"loss_type": "cispo", "epsilon_high": 5.0, "entropy_coef": 0.01}),
    "vespo": ({}, {"loss_type": "vespo", "max_num_gen_batches": 2}),
    "ppo": ({"method": "ppo"}, {}),
    "dpo": ({"method": "dpo"}, {}),
    "sft": ({"method": "sft"}, {"loss_type": "dapo"}),
    "learned": ({"learn_reward": True, "reward_model_steps": 1}, {}),
}


def described(metric: str) -> str:
    """Return the name under which the table has a metric."""
    return re.sub(r"^rewards/.+/(mean|std)$", r"rewards/{name}/\1", metric)


@pytest.fixture(scope="module")
def records(llama_folder) -> dict[str, StepRecord]:
    """Return the first step of each run."""
    found = {}
    for name, (settings, knobs) in RUNS.items():
        config = RunConfig(model=str(llama_folder), prompts_per_step=2, device="cpu", **settings)
        (found[name],) = Session(config, Knobs(**SMALL | knobs)).run(1)
    return found


@pytest.mark.parametrize("run", RUNS)
def test_every_metric_of_a_step_is_in_the_table(records, run):
    assert set(map(described, records[run].metrics)) <= METRICS.keys()


def test_every_metric_of_the_table_is_measured_by_some_run(records):
    assert {described(metric) for record in records.values() for metric in record.metrics} == METRICS.keys()


def test_every_part_of_the_memory_has_its_words_in_the_picture(records):
    parts = [set(owned(record.memory)) for record in records.values()]
    assert set().union(*parts) == PARTS.keys()
    assert ("critic" in owned(records["ppo"].memory), "critic" in owned(records["grpo"].memory)) == (True, False)


def test_every_metric_says_its_formula_and_its_meaning_in_both_languages():
    for name, metric in METRICS.items():
        assert metric.formula and all(metric.meaning), name
