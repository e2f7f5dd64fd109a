import pytest

from workbench.errors import ConfigError
from workbench.run.bugs import BUGS
from workbench.run.check import check_knobs, check_run
from workbench.run.config import METHODS, RunConfig
from workbench.run.knobs import Knobs, knob_spec
from workbench.run.presets import PRESETS, preset_settings


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_run_and_is_told_in_two_languages(name):
    settings, knobs = preset_settings(name)
    config = RunConfig.from_mapping(settings)
    check_run(config)
    check_knobs(config, Knobs().changed(knobs))
    assert all(PRESETS[name].title) and all(PRESETS[name].description)


def test_every_loss_estimator_method_and_mistake_has_a_preset():
    """So that all of it can be trained by name, and is."""
    settings = [RunConfig.from_mapping(preset_settings(name)[0]) for name in PRESETS]
    knobs = [Knobs().changed(preset_settings(name)[1]) for name in PRESETS]
    assert {config.method for config in settings} == set(METHODS)
    assert {config.bug for config in settings} == {"none", *BUGS}
    for choice in ("loss_type", "advantage_estimator", "supervision", "importance_sampling_level", "kl_in"):
        assert {getattr(k, choice) for k in knobs} == set(knob_spec(choice).choices), choice
    for switch in ("mask_truncated_completions", "use_bias_correction_kl"):
        assert any(getattr(k, switch) for k in knobs)
    for name in ("delta", "off_policy_mask_threshold"):
        assert any(getattr(k, name) is not None for k in knobs)
    assert any(k.top_entropy_quantile < 1 for k in knobs) and any(k.entropy_coef > 0 for k in knobs)
    assert any(k.max_num_gen_batches > 1 for k in knobs) and any(config.learn_reward for config in settings)


def test_no_preset_but_a_mistakes_has_a_bug():
    for name, preset in PRESETS.items():
        assert ("bug" in preset.settings) == (preset.group == "mistakes") == name.startswith("bug_")


def test_an_unknown_preset_is_refused_with_the_list_of_presets():
    with pytest.raises(ConfigError) as refused:
        preset_settings("chess")
    assert all(name in str(refused.value) for name in PRESETS)


def test_what_a_caller_does_to_the_settings_does_not_change_the_preset():
    settings, knobs = preset_settings("addition")
    settings["task"] = knobs["beta"] = None
    assert preset_settings("addition") != (settings, knobs)
