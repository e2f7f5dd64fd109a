"""What a preset is: a starting point, laid over the defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

PresetGroup = Literal["tasks", "algorithms", "neighbours", "mistakes"]


@dataclass(frozen=True)
class Preset:
    """A starting point, with its title and description in English and Chinese."""

    title: tuple[str, str]
    description: tuple[str, str]
    settings: Mapping[str, Any] = field(default_factory=dict)
    knobs: Mapping[str, Any] = field(default_factory=dict)
    group: PresetGroup = "tasks"
