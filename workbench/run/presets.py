"""Named starting points: settings and knobs laid over the defaults."""

from collections.abc import Mapping
from typing import Any

from workbench.errors import ConfigError
from workbench.run.preset import Preset
from workbench.run.presettable.algorithms import ALGORITHM_PRESETS
from workbench.run.presettable.mistakes import MISTAKE_PRESETS
from workbench.run.presettable.neighbours import NEIGHBOUR_PRESETS
from workbench.run.presettable.tasks import TASK_PRESETS

PRESETS: Mapping[str, Preset] = {**TASK_PRESETS, **ALGORITHM_PRESETS, **NEIGHBOUR_PRESETS, **MISTAKE_PRESETS}


def get_preset(name: str) -> Preset:
    """Return the preset of that name; raise ConfigError, listing the names, if there is none."""
    if name not in PRESETS:
        raise ConfigError(f"unknown preset {name!r}: the presets are {', '.join(PRESETS)}")
    return PRESETS[name]


def preset_settings(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a preset's settings and knobs as dictionaries of one's own; raise ConfigError as `get_preset` does."""
    preset = get_preset(name)
    return dict(preset.settings), dict(preset.knobs)
