"""Named starting points: settings and knobs laid over the defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.errors import ConfigError


@dataclass(frozen=True)
class Preset:
    """A starting point, with its title and description in English and Chinese."""

    title: tuple[str, str]
    description: tuple[str, str]
    settings: Mapping[str, Any] = field(default_factory=dict)
    knobs: Mapping[str, Any] = field(default_factory=dict)


_FOUR_UPDATES = {"num_iterations": 4, "beta": 0.04, "learning_rate": 1e-3, "max_completion_length": 48}

PRESETS: Mapping[str, Preset] = {
    "addition": Preset(
        ("Column addition", "竖式加法"),
        (
            "Two-digit sums written out step by step; rewards for the answer, the steps and the format.",
            "两位数加法，逐步写出；奖励包括答案、步骤和格式。",
        ),
        {"task": "addition"},
        _FOUR_UPDATES,
    ),
    "countdown": Preset(
        ("Countdown", "凑数"),
        (
            "Reach a target from three numbers with + and −; many answers are right.",
            "用三个数和加减号凑出目标数，正确答案不止一个。",
        ),
        {"task": "countdown"},
        _FOUR_UPDATES,
    ),
    "sorting": Preset(
        ("Sorting", "排序"),
        (
            "Put digits in order; the reward checks that they are the same digits.",
            "把数字排好序；奖励会核对数字是否原样。",
        ),
        {"task": "sorting"},
        _FOUR_UPDATES,
    ),
    "sorting_hacked": Preset(
        ("Sorting with a careless reward", "排序，奖励有漏洞"),
        (
            "Only the order of the answer counts, not whether its digits are the given ones: watch it be hacked.",
            "只看答案是否有序，不核对数字：看策略如何钻奖励的空子。",
        ),
        {"task": "sorting", "reward_weights": (0.0, 1.0, 0.0)},
        _FOUR_UPDATES,
    ),
}


def get_preset(name: str) -> Preset:
    """Return the preset of that name; raise ConfigError, listing the names, if there is none."""
    if name not in PRESETS:
        raise ConfigError(f"unknown preset {name!r}: the presets are {', '.join(PRESETS)}")
    return PRESETS[name]


def preset_settings(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a preset's settings and knobs as dictionaries of one's own; raise ConfigError as `get_preset` does."""
    preset = get_preset(name)
    return dict(preset.settings), dict(preset.knobs)
