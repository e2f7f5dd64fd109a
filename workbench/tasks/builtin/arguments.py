"""Checks of the numbers that a reward is made with; each names the argument, its value and what is allowed."""

import math
from typing import Any

from workbench.errors import ConfigError


def check_whole(name: str, value: Any, low: int) -> None:
    """Raise ConfigError unless the value is a whole number of at least ``low``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise ConfigError(f"{name}={value!r} is not a whole number of at least {low}")


def check_number(name: str, value: Any, high: float = math.inf) -> None:
    """Raise ConfigError unless the value is a finite number of at most ``high``."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value > high:
        bound = "" if math.isinf(high) else f" of at most {high:g}"
        raise ConfigError(f"{name}={value!r} is not a finite number{bound}")
