"""The set-up form's fields: a component for each setting, of the kind and with the choices that the config gives it."""

from dataclasses import fields
from typing import Any

import gradio as gr

from workbench.run.bugs import BUGS
from workbench.run.config import RunConfig
from workbench.run.fastpaths import ALL, FAST_PATHS
from workbench.run.knobs import knob_spec
from workbench.run.methods import UNIFIED_VIEW
from workbench.run.presets import PRESETS
from workbench.tasks.registry import TASKS
from workbench.web.setup_knobs import OTHER_KNOBS, SHOWN_KNOBS, other_names
from workbench.web.setup_values import default_of
from workbench.web.setup_words import FIELDS, PRESET_GROUPS, SECTIONS, phrase

Choices = list[tuple[str, str]]
_SEGMENTS = ("preset_group", "method")  # chosen between side by side


def make_field(name: str, value: Any = None) -> Any:
    """Return the component of a setting, or of the presets', with `value` or the setting's default in it."""
    words: dict[str, Any] = field_words(name, "en") | {"elem_id": f"wb-set-{name.replace('_', '-')}"}
    if name in _SEGMENTS:
        return gr.Radio(choices_of(name, "en"), value=value, show_label=False, **words)
    if name == "preset":
        return gr.Dropdown(choices_of(name, "en", PRESETS[value].group), value=value, show_label=False, **words)
    if name in SHOWN_KNOBS and (slider := knob_spec(name).slider):
        return gr.Number(**filled(name, value), step=slider[2], **words)
    value = default_of(name) if value is None else value
    choices = choices_of(name, "en")
    if name == "plain_paths":
        return gr.Dropdown(choices, value=[], multiselect=True, **words)
    if choices:
        return gr.Dropdown(choices, value=value, show_label=name != "bug", **words)
    kind = {f.name: f.type for f in fields(RunConfig)}.get(name, str)  # the other knobs are a text
    if kind is bool:
        return gr.Checkbox(value, **words)
    if kind in (int, float):
        return gr.Number(value, **words)  # whole or not is for the config to say: rounding would hide a mistake
    return gr.Textbox(value, **words)


def filled(name: str, value: Any) -> dict[str, Any]:
    """Return what makes a field hold `value`: a knob's number shows it, in grey, when it is emptied too."""
    is_number = name in SHOWN_KNOBS and knob_spec(name).choices is None
    return {"value": value} | ({"placeholder": str(value)} if is_number else {})


def field_words(name: str, lang: str) -> dict[str, Any]:
    """Return a field's label and what is said under it; emphasised words are there when one points at the label."""
    if name in SHOWN_KNOBS:
        return _knob_words(name, lang)
    en, zh, help_en, help_zh = FIELDS[name]
    label, info = (zh, help_zh) if lang == "zh" else (en, help_en)
    names = f" *{', '.join(other_names())}*" if name == OTHER_KNOBS else ""
    return {"label": label, "info": info + names or None}


def _knob_words(name: str, lang: str) -> dict[str, Any]:
    spec, number = knob_spec(name), 1 if lang == "zh" else 0
    bounds = "" if spec.choices else f", {spec.low:g}–{spec.high:g}"
    return {"label": f"{spec.symbol} {spec.label[number]}", "info": f"{name}{bounds} *{spec.help[number]}*"}


def section_words(name: str, lang: str) -> str:
    """Return a section's title and what it is about, in Markdown."""
    en, zh, about_en, about_zh = SECTIONS[name]
    title, about = (zh, about_zh) if lang == "zh" else (en, about_en)
    return f"### {title}\n{about}"


def choices_of(name: str, lang: str, group: str = "tasks") -> Choices:
    """Return what can be chosen in a field, in words and as the config calls it; nothing where it is not a choice."""
    number = 1 if lang == "zh" else 0
    named: dict[str, Choices] = {
        "preset_group": [(words[number], each) for each, words in PRESET_GROUPS.items() if _has_presets(each)],
        "preset": [(preset.title[number], each) for each, preset in PRESETS.items() if preset.group == group],
        "method": [(method.title[number], each) for each, method in UNIFIED_VIEW.items()],
        "bug": [(phrase("none", lang), "none"), *((bug.title[number], each) for each, bug in BUGS.items())],
        "plain_paths": [(phrase("all", lang), ALL), *((path.title[number], each) for each, path in FAST_PATHS.items())],
        "task": [(each, each) for each in TASKS],
        "dtype": [(each, each) for each in ("auto", "float32", "bfloat16")],
    }
    if name in SHOWN_KNOBS:
        return [(each, each) for each in knob_spec(name).choices or ()]
    return named.get(name, [])


def _has_presets(group: str) -> bool:
    return any(preset.group == group for preset in PRESETS.values())
