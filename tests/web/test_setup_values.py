import pytest

from workbench.errors import ConfigError, KnobError
from workbench.run.bugs import BUGS
from workbench.run.check import check_knobs, check_run
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs, knob_specs
from workbench.run.presets import PRESETS, preset_settings
from workbench.web.setup_knobs import OTHER_KNOBS, SHOWN_KNOBS, bug_values, knob_values, other_names
from workbench.web.setup_values import (
    SECTIONS,
    bug_words,
    default_of,
    method_words,
    preset_values,
    preset_words,
    refused_section,
    run_settings,
    setting_names,
)
from workbench.web.setup_words import FIELDS


def form_with(preset: str, **changes) -> dict:
    """Return the values of a form in which a preset was chosen, and then `changes` were made."""
    return {name: default_of(name) for name in setting_names()} | preset_values(preset) | changes


def started(preset: str, **changes) -> tuple[RunConfig, Knobs]:
    """Return what a press on the button starts."""
    settings, knobs = run_settings(form_with(preset, **changes))
    base, values = preset_settings(preset)
    return RunConfig.from_mapping(base | settings), Knobs().changed(values | knobs)


@pytest.mark.parametrize("preset", PRESETS)
def test_choosing_a_preset_and_pressing_the_button_starts_that_preset(preset):
    settings, knobs = preset_settings(preset)
    wanted = RunConfig.from_mapping(settings)
    config, started_knobs = started(preset)
    assert config == wanted
    assert started_knobs == Knobs().changed(knobs)
    shown = form_with(preset)
    assert {name: shown[name] for name in SHOWN_KNOBS} == {name: getattr(started_knobs, name) for name in SHOWN_KNOBS}
    assert all(f"{name}={str(value).lower()}" in shown[OTHER_KNOBS] for name, value in knobs.items() - shown.items())
    check_run(config)
    check_knobs(config, started_knobs)


def test_a_mistake_does_not_stay_from_an_earlier_choice_and_is_never_chosen_by_default():
    assert default_of("bug") == "none"
    assert all(preset_values(name)["bug"] == "none" for name, preset in PRESETS.items() if preset.group != "mistakes")
    assert all(preset_values(name)["method"] == PRESETS[name].settings.get("method", "grpo") for name in PRESETS)


@pytest.mark.parametrize("bug", BUGS)
def test_a_mistake_brings_the_knobs_under_which_it_shows(bug):
    config, knobs = started("addition", bug=bug, **bug_values("addition", bug))
    check_knobs(config, knobs)
    assert config.bug == bug
    assert {name: getattr(knobs, name) for name in BUGS[bug].knobs} == dict(BUGS[bug].knobs)
    assert BUGS[bug].knobs.keys() <= set(SHOWN_KNOBS), "so that the fields show what a mistake sets"


def test_no_knob_stays_from_a_mistake_chosen_before_and_what_none_sets_is_left_alone():
    for bug in BUGS:
        values = knob_values("addition") | bug_values("addition", bug)
        assert values | bug_values("addition", "none") == knob_values("addition")
        assert values == knob_values("addition", bug)
    assert "num_generations" not in bug_values("addition", "ratio_inverted")


def test_the_knobs_that_a_person_types_are_those_of_step_1():
    others = "epsilon_high=0.28, kl_estimator = k1，delta=none, use_bias_correction_kl=true,"
    _, knobs = started("addition", num_generations=4, beta=0.1, loss_type="dr_grpo", other_knobs=others)
    typed = {"num_generations": 4, "beta": 0.1, "loss_type": "dr_grpo", "kl_estimator": "k1"}
    typed |= {"epsilon_high": 0.28, "use_bias_correction_kl": True}
    assert knobs == Knobs().changed(dict(preset_settings("addition")[1]) | typed)


def test_an_emptied_knob_is_again_the_mistakes_or_the_presets():
    emptied = dict.fromkeys(SHOWN_KNOBS)
    assert started("gspo", **emptied)[1] == started("gspo")[1]
    assert started("addition", bug="k1_as_loss", **emptied)[1].beta == 0.5
    assert started("dapo")[1].epsilon_high == 0.28
    assert started("dapo", other_knobs="max_num_gen_batches=2")[1].epsilon_high is None, "nothing is set unseen"


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("top_p", "other_knobs='top_p' is not allowed: it must be name=value"),
        ("epsilonhigh=0.3", "other_knobs='epsilonhigh=0.3' is not allowed: it must be one of epsilon_high"),
        ("nonsense=1", f"other_knobs='nonsense=1' is not allowed: it must be one of {', '.join(other_names())}"),
        ("beta=0.1", f"other_knobs='beta=0.1' is not allowed: it must be one of {', '.join(other_names())}"),
        ("delta=0.5", "delta='0.5' is not allowed: it must be a number in [1, 100], or none"),
    ],
)
def test_other_knobs_that_cannot_be_set_are_refused_in_the_knobs_section(typed, why):
    with pytest.raises(KnobError) as refused:
        started("addition", other_knobs=f"top_k=5, {typed}")
    assert str(refused.value) == why
    assert refused_section(why) == "knobs"


@pytest.mark.parametrize("name", knob_specs())
def test_a_refused_value_of_any_knob_is_told_in_the_knobs_section(name):
    with pytest.raises(KnobError) as refused:
        Knobs().changed({name: "nonsense"})
    assert refused_section(str(refused.value)) == "knobs"


def test_a_word_that_is_also_a_knob_does_not_make_a_refusal_the_knobs():
    assert refused_section("dataset='./beta/loss_type.jsonl' is not there") == "prompts"
    assert refused_section("row 3 of my-beta.jsonl has no temperature and no supervision") is None
    assert refused_section("model='it's at delta' is not there") == "model"


def test_what_a_person_types_is_laid_over_the_preset():
    config, _ = started("sorting_hacked", reward_weights="1, 0.5, 0", max_steps=7, model="./there", dataset="")
    assert (config.reward_weights, config.max_steps, config.model, config.dataset) == (
        (1.0, 0.5, 0.0),
        7,
        "./there",
        None,
    )
    assert started("addition", plain_paths=["lean_model"])[0].plain_paths == ("lean_model",)
    with pytest.raises(ConfigError, match="'x' is not a number"):
        run_settings(form_with("addition", reward_weights="1, x"))


def test_an_emptied_field_takes_back_what_the_preset_had_set_there():
    emptied = dict.fromkeys(("reward_weights", "reward_funcs", "step_rewards", "dataset"), "")
    assert started("sorting_hacked")[0].reward_weights and started("dapo")[0].reward_funcs
    for preset in ("sorting_hacked", "dapo"):
        config, _ = started(preset, **emptied)
        assert (config.reward_weights, config.reward_funcs, config.step_rewards, config.dataset) == (
            None,
            (),
            None,
            None,
        )


@pytest.mark.parametrize(
    ("changes", "section"),
    [
        ({"max_steps": None}, "model"),
        ({"model": ""}, "model"),
        ({"gamma": None}, "method"),
        ({"prompt_column": ""}, "prompts"),
        ({"model": "./no/such/model"}, "model"),
        ({"max_steps": 0}, "model"),
        ({"reward_funcs": "nosuch"}, "reward"),
        ({"reward_weights": "1"}, "reward"),
        ({"gamma": 7.0}, "method"),
        ({"dataset": "./no.jsonl"}, "prompts"),
        ({"method": "dpo", "learn_reward": True}, "reward"),
        ({"method": "ppo", "bug": "padding_shift"}, "bug"),
        ({"plain_paths": ["no_such"]}, "speed"),
        ({"ref_model_sync_steps": 0, "sync_ref_model": True}, "reference"),
        ({"num_generations": 1}, "knobs"),
        ({"num_generations": 2.5}, "knobs"),
        ({"loss_type": "cispo"}, "knobs"),
        ({"method": "dpo", "beta": 0}, "knobs"),
        ({"method": "rft", "loss_type": "sapo"}, "knobs"),
        ({"bug": "temperature_forgotten", "temperature": 1}, "knobs"),
        ({"bug": "k1_as_loss", "beta": 0}, "knobs"),
        ({"task": "sorting", "other_knobs": "supervision=process"}, "knobs"),
    ],
)
def test_a_refusal_is_told_in_the_section_that_it_is_about(changes, section):
    with pytest.raises((ConfigError, KnobError)) as refused:
        config, knobs = started("addition", **changes)
        check_run(config)
        check_knobs(config, knobs)
    assert refused_section(str(refused.value)) == section


def test_a_refusal_about_no_setting_is_told_at_the_button():
    assert refused_section("a run is going on: stop it before starting another") is None


def test_every_setting_of_the_form_is_one_of_the_config_and_has_words():
    assert len(setting_names()) == len(set(setting_names()))
    assert all(hasattr(RunConfig(), name) and name in FIELDS for names in SECTIONS.values() for name in names)
    assert all(zh and en for en, zh, _, _ in FIELDS.values())
    assert not set(setting_names()) & knob_specs().keys(), "a field is a setting's or a knob's"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_what_is_said_of_a_choice_has_its_knobs_and_its_symptom(lang):
    assert "β 0.04" in preset_words("addition", lang) and "μ 4" in preset_words("addition", lang)
    assert BUGS["ratio_inverted"].symptom[lang == "zh"] in bug_words("ratio_inverted", lang)
    assert bug_words("none", lang) == ""
    assert ("评论家" if lang == "zh" else "critic") in method_words("ppo", lang)
