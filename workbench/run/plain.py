"""Values of numpy's as Python's own, so that JSON can hold them and two equal settings are equal."""

import os
from numbers import Real
from typing import Any

import numpy as np


def plain_value(value: Any) -> Any:
    """Return numpy's scalars and arrays as Python's own values, a path as a text, and all else as it is.

    >>> plain_value(np.int64(8)), plain_value(np.float32(0.5)), plain_value(np.True_), plain_value(None)
    (8, 0.5, True, None)
    >>> plain_value(np.array([1.0, 0.5]))
    [1.0, 0.5]
    """
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def is_number(value: Any) -> bool:
    """Return whether the value is a real number; a switch is none."""
    return isinstance(value, Real) and not isinstance(value, bool)
