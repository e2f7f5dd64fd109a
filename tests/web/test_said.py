"""The sentences that the page has in Chinese are those that the server says in English."""

import inspect
import json
import re
from itertools import islice

import pytest

from tests.run.test_knobrules import REFUSED as KNOBS
from tests.run.test_methodrules import REFUSED as METHODS
from workbench.errors import KnobError
from workbench.run import workbench
from workbench.run.check import check_knobs
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs, knob_specs
from workbench.tasks.registry import TASKS
from workbench.tasks.rewards import score
from workbench.web.routes import STATIC

ENGLISH = json.loads((STATIC / "locales" / "en.json").read_text())
SAID = {key: words for key, words in ENGLISH.items() if key.startswith("said.")}
NO_STEPS = ({"task": "sorting"}, {"supervision": "process"})
ANSWERS = ("", "12", "+7", "x", "3 + 4", "1", "99999", "54321", "12345", "1 - 9")
THOUGHTS = ("", "1+2+0=3", "1+2+0=3; 4+5+0=9; 7+7+1=15; 1+1+1=3", "</think>", "9+9+0=18</think>")


def is_known(sentence: str) -> bool:
    """Is it a sentence of the page's, or one of numbers and signs alone?"""
    patterns = ("(.*)".join(map(re.escape, re.split(r"\{\w+\}", words))) for words in SAID.values())
    return any(re.fullmatch(pattern, sentence, re.DOTALL) for pattern in patterns) or not re.search("[a-z]", sentence)


@pytest.mark.parametrize("name", TASKS)
def test_every_reason_of_a_bundled_reward_is_known(name):
    task = TASKS[name]
    completions = [f"{thought}<answer>{answer}</answer>" for thought in THOUGHTS for answer in ANSWERS] + [*THOUGHTS]
    reasons = set()
    for example in islice(task.examples(0), 5):
        right = f"<answer>{example.get('target')}</answer>"
        prompts, columns = [example["prompt"]] * (len(completions) + 1), {}
        scores = score(task.reward_functions, prompts, [*completions, right], columns=columns)
        reasons |= {reward.reason for rewards in scores.values() for reward in rewards}
        for completion in completions if task.step_rewards else ():
            reasons |= {step.reason for step in task.step_rewards(example["prompt"], completion, example)}
    assert len(reasons) > 5 and [reason for reason in reasons if not is_known(reason)] == []


@pytest.mark.parametrize("spec", knob_specs().values(), ids=lambda spec: spec.name)
def test_the_refusal_of_a_knob_s_value_and_what_it_allows_are_known(spec):
    with pytest.raises(KnobError) as refused:
        spec.check("nonsense")
    assert is_known(str(refused.value)) and is_known(spec.allowed())


@pytest.mark.parametrize(
    ("settings", "values"), [*(({}, values) for values, _ in KNOBS), *(case[:2] for case in METHODS), NO_STEPS]
)
def test_why_two_options_cannot_go_together_is_known(settings, values):
    with pytest.raises(KnobError) as refused:
        check_knobs(RunConfig(**settings), Knobs(**values))
    assert is_known(str(refused.value))


@pytest.mark.parametrize("sentence", re.findall(r'raise ConfigError\("(.*)"\)', inspect.getsource(workbench)))
def test_the_refusal_of_a_command_is_known(sentence):
    assert is_known(sentence)


def test_a_sentence_that_nobody_translated_is_not_taken_for_a_known_one():
    assert not is_known("my own reason") and not is_known("no <answer>…</answer> at all")
