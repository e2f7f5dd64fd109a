import pytest

from workbench.errors import ConfigError
from workbench.run.check import check_run
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs
from workbench.run.presets import PRESETS, preset_settings


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_run_and_is_told_in_two_languages(name):
    settings, knobs = preset_settings(name)
    check_run(RunConfig.from_mapping(settings))
    Knobs().changed(knobs)
    assert all(PRESETS[name].title) and all(PRESETS[name].description)


def test_an_unknown_preset_is_refused_with_the_list_of_presets():
    with pytest.raises(ConfigError) as refused:
        preset_settings("chess")
    assert all(name in str(refused.value) for name in PRESETS)


def test_what_a_caller_does_to_the_settings_does_not_change_the_preset():
    settings, knobs = preset_settings("addition")
    settings["task"] = knobs["beta"] = None
    assert preset_settings("addition") != (settings, knobs)
