"""The knobs of the set-up form: the fields that hold them, what a preset writes there, and what they set."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from workbench.errors import KnobError
from workbench.run.bugs import BUGS
from workbench.run.knobs import Knobs, knob_spec, knob_specs
from workbench.run.presets import PRESETS

# What decides an experiment from its first step has a field of its own; all other knobs share one.
SHOWN_KNOBS = (
    "num_generations",
    "temperature",
    "max_completion_length",
    "scale_rewards",
    "loss_type",
    "epsilon",
    "beta",
    "num_iterations",
    "learning_rate",
)
OTHER_KNOBS = "other_knobs"
KNOB_FIELDS = (*SHOWN_KNOBS, OTHER_KNOBS)
_NO_ENGLISH_WORDS = ("beta", "epsilon", "delta")  # so they are the knobs wherever a sentence has them


def other_names() -> list[str]:
    """Return the knobs that have no field of their own."""
    return [name for name in knob_specs() if name not in SHOWN_KNOBS]


def knob_values(preset: str, bug: str = "none") -> dict[str, Any]:
    """Return what the knobs' fields hold once a preset is chosen, and after it a mistake: theirs over the defaults."""
    own = dict(PRESETS[preset].knobs) | (dict(BUGS[bug].knobs) if bug in BUGS else {})
    knobs = Knobs().changed(own)
    others = [f"{name}={str(value).lower()}" for name, value in own.items() if name not in SHOWN_KNOBS]
    return {name: getattr(knobs, name) for name in SHOWN_KNOBS} | {OTHER_KNOBS: ", ".join(others)}


def bug_values(preset: str, bug: str) -> dict[str, Any]:
    """Return what choosing a mistake writes into the knobs' fields: a value for every knob that any mistake sets.

    So nothing stays of a mistake chosen before; what no mistake sets, such as the group size, stays as it was typed.
    """
    named = {name for each in BUGS.values() for name in each.knobs}
    return {name: value for name, value in knob_values(preset, bug).items() if name in named}


def chosen_knobs(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the knobs that the fields' values ask for; raise KnobError where the other knobs cannot be read.

    An emptied field is left out, which leaves what the preset has there. The field of the other knobs holds all of
    them: one that it does not name has its default.
    """
    shown = {name: values[name] for name in SHOWN_KNOBS if values[name] not in (None, "")}
    return shown | {name: knob_spec(name).default for name in other_names()} | parse_knobs(values[OTHER_KNOBS] or "")


def parse_knobs(text: str) -> dict[str, Any]:
    """Return the knobs of a list such as the command line's --set takes one by one; raise KnobError if it is none.

    >>> parse_knobs("epsilon_high=0.28, kl_estimator = k1, delta=none")
    {'epsilon_high': 0.28, 'kl_estimator': 'k1', 'delta': None}
    """
    return dict(map(_parse_knob, filter(str.strip, re.split("[,，]", text))))


def names_knob(sentence: str) -> bool:
    """Return whether a sentence, without what is quoted in it, is about a knob or about the other knobs' field.

    >>> names_knob("loss_type does not clip"), names_knob("temperature=9"), names_knob("the right temperature")
    (True, True, False)
    """
    words = {word for word in re.findall(r"\w+", sentence) if word == OTHER_KNOBS or word in knob_specs()}
    return any("_" in word or _is_meant(word, sentence) for word in words)


def _parse_knob(part: str) -> tuple[str, Any]:
    name, equals, value = map(str.strip, part.partition("="))
    if not equals:
        raise _refusal(part, "name=value")
    if name not in other_names():
        alike = [] if name in SHOWN_KNOBS else get_close_matches(name, other_names())
        raise _refusal(part, f"one of {', '.join(alike or other_names())}")
    return name, knob_spec(name).parse(value)


def _refusal(part: str, allowed: str) -> KnobError:
    return KnobError(f"{OTHER_KNOBS}={part.strip()!r} is not allowed: it must be {allowed}")


def _is_meant(word: str, sentence: str) -> bool:
    """Return whether a word is meant as a knob: said with its value, or a word apart that English does not have."""
    apart = rf"(?<!\S){word}(?![^\s,])"
    return f"{word}=" in sentence or (word in _NO_ENGLISH_WORDS and re.search(apart, sentence) is not None)
