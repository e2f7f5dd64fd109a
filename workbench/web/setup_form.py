"""The form in which a run is set up, section by section. Its words follow the page's language."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from workbench.errors import ConfigError, KnobError
from workbench.run.presets import PRESETS
from workbench.run.workbench import Workbench
from workbench.web.setup_fields import choices_of, field_words, filled, make_field, section_words
from workbench.web.setup_knobs import KNOB_FIELDS, bug_values
from workbench.web.setup_values import (
    SECTIONS,
    bug_words,
    method_words,
    preset_values,
    preset_words,
    refused_section,
    run_settings,
)
from workbench.web.setup_words import phrase

_DECIDING = ("method", "learn_reward", "sync_ref_model")  # what other parts of the form depend on
_LEARNED = ("steps_per_round", "reward_model_replay", "reward_model_steps", "reward_model_learning_rate")
_ABOUT = "wb-about"
_FORM = "wb-form"  # what changes the form is done one after the other
_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
# In the page's language, and answered in the order asked: a late answer to an old question would undo a newer choice.
_FILLING: dict[str, Any] = _PRIVATE | {
    "js": "(_, ...chosen) => [document.documentElement.lang.startsWith('zh') ? 'zh' : 'en', ...chosen]",
    "concurrency_id": _FORM,
}
_ON_TRAINED = """async (...refusals) => {
    const isRefused = refusals.some((refusal) => refusal);
    if (!isRefused) document.dispatchEvent(new CustomEvent('wb:show', {detail: {view: 'live'}}));
    else setTimeout(() => document.querySelector('.wb-refusal p')?.scrollIntoView({block: 'center'}), 100);
    const {translated} = await import('/wb/static/i18n.js');
    return refusals.map(translated);
}"""
Updates = dict[Any, Any]


@dataclass
class SetupForm:
    """The form's components by name. Folds hold settings that only matter for some values of the others.

    It opens with the preset that the train button starts.
    """

    preset: str
    lang: gr.Textbox  # never shown: the browser puts the page's language here when it asks for something
    fields: dict[str, Any] = field(default_factory=dict)
    titles: dict[str, gr.Markdown] = field(default_factory=dict)
    about: dict[str, gr.Markdown] = field(default_factory=dict)
    folds: dict[str, gr.Row] = field(default_factory=dict)
    refusals: dict[str, gr.Markdown] = field(default_factory=dict)

    @property
    def start(self) -> dict[str, Any]:
        """What the fields hold at first, where it is the preset's business."""
        return {"preset_group": PRESETS[self.preset].group, "preset": self.preset} | preset_values(self.preset)

    def add(self, *names: str) -> None:
        for name in names:
            self.fields[name] = make_field(name, self.start.get(name))

    def fold(self, name: str, *settings: str) -> None:
        with gr.Row(visible=_open_folds(self.start)[name], elem_classes="wb-fold") as self.folds[name]:
            self.add(*settings)

    def section(self, name: str) -> gr.Column:
        """Draw a section's title and return the column that its fields go into."""
        with gr.Row(elem_classes="wb-section", elem_id=f"wb-section-{name}"):
            with gr.Column(elem_classes="wb-section-title"):
                self.titles[name] = gr.Markdown(section_words(name, "en"))
                self.refusals[name] = gr.Markdown("", elem_classes="wb-refusal")
            return gr.Column(elem_classes="wb-section-fields")


def build_setup_form(page: gr.Blocks, workbench: Workbench) -> None:
    """Draw the form on the page.

    Its button starts a run, or says in one sentence, in the section that it is about, why not.
    """
    form = SetupForm(workbench.preset, gr.Textbox("en", visible=False))
    _draw_what(form)
    _draw_how(form)
    with gr.Row(elem_id="wb-setup-foot"):
        button = gr.Button(phrase("button", "en"), variant="primary", elem_id="wb-setup-train")
        form.refusals["button"] = gr.Markdown("", elem_classes="wb-refusal", elem_id="wb-setup-refusal")
    _connect_button(form, button, workbench)
    _connect_fields(form)
    _connect_language(page, form, button)


def _draw_what(form: SetupForm) -> None:
    """Draw where the form starts, the method, the prompts and the rewards."""
    with form.section("start"):
        with gr.Row(elem_classes="wb-start"):
            form.add("preset_group", "preset")
        form.about["preset"] = gr.Markdown(preset_words(form.preset, "en"), elem_classes=_ABOUT)
    with form.section("method"):
        form.add("method")
        form.about["method"] = gr.Markdown(method_words(form.start["method"], "en"), elem_classes=_ABOUT)
        form.fold("ppo", "gamma", "gae_lambda", "critic_learning_rate", "cliprange_value")
    with form.section("prompts"), gr.Row():
        form.add(*SECTIONS["prompts"])
    with form.section("reward"):
        with gr.Row():
            form.add("reward_funcs", "reward_weights", "step_rewards")
        form.add("learn_reward")
        form.fold("learn_reward", *_LEARNED)
        form.fold("refresh", "refresh_reward_model")


def _draw_how(form: SetupForm) -> None:
    """Draw the reference, the knobs, the model with its sizes, and the mistakes."""
    with form.section("reference"), gr.Row():
        form.add("sync_ref_model")
        form.fold("sync_ref_model", "ref_model_sync_steps")
    with form.section("knobs"), gr.Row(elem_classes="wb-knobs"):
        form.add(*KNOB_FIELDS)
    with form.section("model"):
        with gr.Row():
            form.add("model", "dtype", "lora_r")
        with gr.Row():
            form.add("prompts_per_step", "max_steps", "seed")
    with form.section("speed"):
        form.add("plain_paths")
    with form.section("bug"):
        form.add("bug")
        form.about["bug"] = gr.Markdown(bug_words(form.start["bug"], "en"), elem_classes=_ABOUT)


def _connect_button(form: SetupForm, button: gr.Button, workbench: Workbench) -> None:
    def train(*values: Any) -> list[str]:
        chosen = dict(zip(form.fields, values, strict=True))
        try:
            del chosen["preset_group"]
            preset = chosen.pop("preset")
            workbench.start(preset, *run_settings(chosen))
        except (ConfigError, KnobError) as error:
            place = refused_section(str(error)) or "button"
            return [str(error) if name == place else "" for name in form.refusals]
        return [""] * len(form.refusals)

    refusals = list(form.refusals.values())
    filled = button.click(lambda: None, **_PRIVATE, concurrency_id=_FORM)  # a preset chosen just before comes first
    trained = filled.then(train, list(form.fields.values()), refusals, **_PRIVATE)
    trained.then(None, refusals, refusals, js=_ON_TRAINED)


def _connect_fields(form: SetupForm) -> None:
    """Let a preset fill the form, and the fields on which others depend show and hide them."""
    fields, dependents = form.fields, [*form.folds.values(), *form.about.values()]

    def choose_group(lang: str, group: str) -> Updates:
        first = next(name for name, preset in PRESETS.items() if preset.group == group)
        choices = gr.update(choices=choices_of("preset", lang, group), value=first)
        return {fields["preset"]: choices} | choose_preset(lang, first)

    def choose_preset(lang: str, preset: str) -> Updates:
        values = preset_values(preset)
        about = {
            form.about["preset"]: preset_words(preset, lang),
            form.about["bug"]: bug_words(values["bug"], lang),
        }
        return about | _filled(form, values) | _dependents(form, values, lang)

    def choose_bug(lang: str, preset: str, bug: str) -> Updates:
        return {form.about["bug"]: bug_words(bug, lang)} | _filled(form, bug_values(preset, bug))

    def depend(lang: str, *values: Any) -> Updates:
        return _dependents(form, dict(zip(_DECIDING, values, strict=True)), lang)

    outputs = [fields["preset"], *(fields[name] for name in preset_values(form.preset)), *dependents]
    of_bug = [form.about["bug"], *(fields[name] for name in bug_values(form.preset, "none"))]
    fields["preset_group"].input(choose_group, [form.lang, fields["preset_group"]], outputs, **_FILLING)
    fields["preset"].input(choose_preset, [form.lang, fields["preset"]], outputs, **_FILLING)
    fields["bug"].input(choose_bug, [form.lang, fields["preset"], fields["bug"]], of_bug, **_FILLING)
    for name in _DECIDING:
        fields[name].input(depend, [form.lang, *(fields[each] for each in _DECIDING)], dependents, **_FILLING)


def _filled(form: SetupForm, values: Mapping[str, Any]) -> Updates:
    return {form.fields[name]: gr.update(**filled(name, value)) for name, value in values.items()}


def _dependents(form: SetupForm, values: dict[str, Any], lang: str) -> Updates:
    """Return what changes with the method and the switches: what is shown, and what is said of the method."""
    folds = {form.folds[name]: gr.update(visible=shown) for name, shown in _open_folds(values).items()}
    return folds | {form.about["method"]: method_words(values["method"], lang)}


def _open_folds(values: Mapping[str, Any]) -> dict[str, bool]:
    return {
        "ppo": values["method"] == "ppo",
        "learn_reward": values["learn_reward"],
        "refresh": values["learn_reward"],
        "sync_ref_model": values["sync_ref_model"],
    }


def _connect_language(page: gr.Blocks, form: SetupForm, button: gr.Button) -> None:
    """Label everything in the page's language, once Gradio is there and whenever the language changes."""
    bridge = gr.HTML(  # an invisible element that tells the server of a change
        html_template="<div></div>",
        js_on_load="""
            const tell = () => trigger('language');
            new MutationObserver(tell).observe(document.documentElement, {attributes: true, attributeFilter: ['lang']});
        """,
        elem_id="wb-language",
    )
    chosen = [form.fields[name] for name in ("preset_group", "preset", "method", "bug")]

    def label(lang: str, group: str, preset: str, method: str, bug: str) -> Updates:
        updates: Updates = {button: gr.update(value=phrase("button", lang))}
        updates |= {title: section_words(name, lang) for name, title in form.titles.items()}
        for name, component in form.fields.items():
            choices: dict[str, Any] = {"choices": choices_of(name, lang, group)}
            updates[component] = gr.update(**field_words(name, lang), **(choices if choices["choices"] else {}))
        said = {
            "preset": preset_words(preset, lang),
            "method": method_words(method, lang),
            "bug": bug_words(bug, lang),
        }
        return updates | {form.about[name]: text for name, text in said.items()}

    outputs = [button, *form.titles.values(), *form.fields.values(), *form.about.values()]
    bridge.language(label, [form.lang, *chosen], outputs, **_FILLING)
    # an event of the element itself would be lost where it is made before Gradio listens
    page.load(label, [form.lang, *chosen], outputs, **_FILLING)
