"""The sentences that the page has in Chinese are those that the server says in English."""

import ast
import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

import workbench
from tests.run.test_knobrules import REFUSED as KNOBS
from tests.run.test_methodrules import REFUSED as METHODS
from workbench.engine.drawing import NOT_FINITE
from workbench.errors import KnobError
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
PACKAGE = Path(workbench.__file__).parent
OF_THE_TERMINAL = {
    *("__main__.py", "engine/evaluate.py", "web/server.py"),
    *("run/presets.py", "run/session.py"),
}
SOURCES = [path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).as_posix() not in OF_THE_TERMINAL]


def pattern_of(words: str) -> str:
    return "(.*)".join(map(re.escape, re.split(r"\{\w+\}", words)))


def is_known(sentence: str) -> bool:
    """Is it a sentence of the page's, or one of numbers and signs alone?"""
    is_said = any(re.fullmatch(pattern_of(words), sentence, re.DOTALL) for words in SAID.values())
    return is_said or not re.search("[a-z]", sentence)


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


def errors_of(path: Path) -> Iterator[str]:
    """Yield what a module's errors say, with an x for whatever is filled in."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("ConfigError", "RewardError"):
            words = node.args[0]
            parts = words.values if isinstance(words, ast.JoinedStr) else [words]
            yield "".join(part.value if isinstance(part, ast.Constant) else "x" for part in parts)


ERRORS = {sentence for path in SOURCES for sentence in errors_of(path)} | {NOT_FINITE}


@pytest.mark.parametrize("sentence", sorted(ERRORS))
def test_what_prevents_or_ends_a_run_and_why_a_command_is_refused_are_known(sentence):
    assert is_known(sentence)


def test_no_sentence_is_taken_for_another():
    patterns = {key: pattern_of(words) for key, words in SAID.items()}
    for key, words in SAID.items():
        said = re.sub(r"\{\w+\}", "x", words)
        assert next(name for name, pattern in patterns.items() if re.fullmatch(pattern, said)) == key


def test_a_sentence_that_nobody_translated_is_not_taken_for_a_known_one():
    assert not is_known("my own reason") and not is_known("no <answer>…</answer> at all")
