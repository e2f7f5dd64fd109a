"""TorchScript: a function and all that it calls as one call, without Python and its lock between their operations."""

import sys
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import torch


def can_compile() -> bool:
    """Return whether torch has TorchScript and stands by it: it is deprecated, and from Python 3.14 on it may break."""
    return hasattr(torch.jit, "script") and sys.version_info < (3, 14)


@cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function compiled: once, in some hundredths of a second. Compile where no other thread does."""
    with warnings.catch_warnings():
        # torch advises torch.compile instead, which needs a C++ compiler on the user's machine and takes many seconds
        warnings.simplefilter("ignore", DeprecationWarning)
        script = torch.jit.script(function)

    def call(*arguments: Any) -> Any:
        # to watch the first two calls and optimize the rest costs a tenth of a second and gains nothing here
        with torch.jit.optimized_execution(False):
            return script(*arguments)

    return call
