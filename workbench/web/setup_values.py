"""Between the set-up form's values and a run's settings: what a preset fills in, what starts, where it is refused."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from workbench.errors import ConfigError
from workbench.run.bugs import BUGS
from workbench.run.config import RunConfig
from workbench.run.knobs import knob_spec
from workbench.run.methods import UNIFIED_VIEW
from workbench.run.presets import PRESETS
from workbench.web.setup_knobs import chosen_knobs, knob_values, names_knob
from workbench.web.setup_words import phrase

# The settings of each section of the form; the knobs have a section too.
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "method": ("method", "gamma", "gae_lambda", "critic_learning_rate", "cliprange_value"),
    "prompts": ("task", "dataset", "prompt_column"),
    "reward": (
        "reward_funcs",
        "reward_weights",
        "step_rewards",
        "learn_reward",
        "steps_per_round",
        "refresh_reward_model",
        "reward_model_replay",
        "reward_model_steps",
        "reward_model_learning_rate",
    ),
    "reference": ("sync_ref_model", "ref_model_sync_steps"),
    "model": ("model", "dtype", "lora_r", "prompts_per_step", "max_steps", "seed"),
    "speed": ("plain_paths",),
    "bug": ("bug",),
}
_SWITCHES = ("learn_reward", "sync_ref_model")
_QUOTED = re.compile(r"""(?<!\w)('[^']*'|"[^"]*")""")  # a value in a sentence; no apostrophe begins one
_BETWEEN_PARTS = re.compile(r",(?![^()]*\))")  # not the commas between a function's own arguments


def setting_names() -> list[str]:
    """Return the settings that the form asks for, in its order."""
    return [name for names in SECTIONS.values() for name in names]


def default_of(name: str) -> Any:
    """Return a setting's default as its field shows it."""
    return _as_field({f.name: f.default for f in fields(RunConfig)}[name])


def preset_values(preset: str) -> dict[str, Any]:
    """Return what choosing a preset writes into the form: a value for every knob and setting that any preset sets.

    What is not a preset's business, such as the model, stays as it is; a mistake never stays from an earlier choice.
    """
    named = {name for each in PRESETS.values() for name in each.settings} | {"method", *_SWITCHES, "bug"}
    own = PRESETS[preset].settings
    settings = {
        name: _as_field(own[name]) if name in own else default_of(name) for name in setting_names() if name in named
    }
    return settings | knob_values(preset)


def run_settings(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings and the knobs that the form's values ask for.

    The form shows what its preset sets, so a field that was emptied takes that back; where something is needed there,
    the run is refused. The number of a knob cannot be taken back: an emptied one is again what the mistake or the
    preset has.
    """
    settings: dict[str, Any] = {name: None if values[name] == "" else values[name] for name in setting_names()}
    settings["plain_paths"] = settings["plain_paths"] or []
    settings["reward_funcs"] = split_list(settings["reward_funcs"] or "")
    settings["reward_weights"] = [_number(part) for part in split_list(settings["reward_weights"] or "")] or None
    bug = settings["bug"]
    return settings, (dict(BUGS[bug].knobs) if bug in BUGS else {}) | chosen_knobs(values)


def split_list(text: str) -> list[str]:
    """Return the parts of a comma-separated list.

    >>> split_list("answer, get_repetition_penalty_reward(ngram_size=3, max_penalty=-1), ")
    ['answer', 'get_repetition_penalty_reward(ngram_size=3, max_penalty=-1)']
    """
    return [part.strip() for part in _BETWEEN_PARTS.split(text) if part.strip()]


def refused_section(sentence: str) -> str | None:
    """Return the section whose setting a refusal is about; None where it names none of them.

    Where a sentence names a knob and a setting, the knob does not suit the setting, and it is the knobs' refusal.

    >>> refused_section("learn_reward trains a reward model, and method='dpo' has none"), refused_section("a run is on")
    ('reward', None)
    """
    section_of = {name: section for section, names in SECTIONS.items() for name in names} | {"reward": "reward"}
    sentence = _QUOTED.sub("''", sentence)
    if names_knob(sentence):
        return "knobs"
    named = (word for word in re.findall(r"\w+", sentence) if word in section_of and _is_named(word, sentence))
    return next(map(section_of.get, named), None)


def method_words(method: str, lang: str) -> str:
    """Return a method's place in the unified view, in Markdown."""
    view = UNIFIED_VIEW[method]
    parts = {"source": view.source, "reward": view.reward, "coefficient": view.coefficient}
    return "  \n".join(f"**{phrase(key, lang)}** {words[lang == 'zh']}" for key, words in parts.items())


def preset_words(preset: str, lang: str) -> str:
    """Return a preset's description and the knobs it sets, in Markdown."""
    chosen = PRESETS[preset]
    return "  \n".join([chosen.description[lang == "zh"], *_sets(chosen.knobs, lang)])


def bug_words(bug: str, lang: str) -> str:
    """Return a mistake, its symptom and the knobs under which it shows, in Markdown; nothing for none."""
    if bug not in BUGS:
        return ""
    about = BUGS[bug]
    symptom = f"**{phrase('symptom', lang)}** {about.symptom[lang == 'zh']}"
    return "  \n".join([about.mistake[lang == "zh"], symptom, *_sets(about.knobs, lang)])


def _sets(knobs: Mapping[str, Any], lang: str) -> Iterable[str]:
    if knobs:
        texts = [f"{knob_spec(name).symbol} {_short(value)}" for name, value in knobs.items()]
        yield phrase("sets", lang, knobs=("、" if lang == "zh" else ", ").join(texts))


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value).lower()


def _is_named(word: str, sentence: str) -> bool:
    """Return whether a word of a sentence is meant as a setting: of several parts, with its value, or said first."""
    return "_" in word or f"{word}=" in sentence or sentence.startswith(f"{word} ")


def _as_field(value: Any) -> Any:
    if isinstance(value, tuple):
        return ", ".join(part if isinstance(part, str) else f"{part:g}" for part in value)
    return "" if value is None else value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(f"reward_weights: {text!r} is not a number") from error
