"""The set-up form's fields: a component for each setting, of the kind and with the choices that the config gives it."""

from dataclasses import fields
from typing import Any

import gradio as gr

from workbench.run.bugs import BUGS
from workbench.run.config import RunConfig
from workbench.run.fastpaths import ALL, FAST_PATHS
from workbench.run.methods import UNIFIED_VIEW
from workbench.run.presets import PRESETS
from workbench.tasks.registry import TASKS
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
    value = default_of(name) if value is None else value
    choices = choices_of(name, "en")
    if name == "plain_paths":
        return gr.Dropdown(choices, value=[], multiselect=True, **words)
    if choices:
        return gr.Dropdown(choices, value=value, show_label=name != "bug", **words)
    kind = {f.name: f.type for f in fields(RunConfig)}[name]
    if kind is bool:
        return gr.Checkbox(value, **words)
    if kind in (int, float):
        return gr.Number(value, **words)  # whole or not is for the config to say: rounding would hide a mistake
    return gr.Textbox(value, **words)


def field_words(name: str, lang: str) -> dict[str, Any]:
    """Return a field's label and what is said under it."""
    en, zh, help_en, help_zh = FIELDS[name]
    label, info = (zh, help_zh) if lang == "zh" else (en, help_en)
    return {"label": label, "info": info or None}


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
    return named.get(name, [])


def _has_presets(group: str) -> bool:
    return any(preset.group == group for preset in PRESETS.values())
