"""Functions that the user writes in a file of their own, named as ``path/to/file.py:function``."""

import importlib.util
import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from workbench.errors import ConfigError


def names_a_file(name: str) -> bool:
    """True for ``path/to/file.py:function``."""
    path, colon, _ = name.rpartition(":")
    return bool(colon) and path.endswith(".py")


def load_from_file(name: str, kind: str) -> Callable[..., Any]:
    """Return the function that ``path/to/file.py:function`` names; ``kind`` says in a ConfigError what it is for."""
    written, _, attribute = name.rpartition(":")
    path = Path(written).expanduser()
    if not path.is_file():
        raise ConfigError(f"{kind} file {str(path)!r} does not exist")
    module = _import_file(path, kind)
    if not hasattr(module, attribute):
        found = [key for key, value in vars(module).items() if inspect.isfunction(value) and not key.startswith("_")]
        raise ConfigError(
            f"{kind} file {str(path)!r} has no {attribute!r}; its functions are {', '.join(found) or 'none'}"
        )
    function = getattr(module, attribute)
    if not callable(function):
        raise ConfigError(f"{attribute!r} in {kind} file {str(path)!r} is a {type(function).__name__}, not a function")
    return function


def _import_file(path: Path, kind: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{kind}_file_{path.stem}", path)
    assert spec is not None and spec.loader is not None, f"a .py file has a loader: {path}"
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's file may raise anything; it is kept as the cause
        raise ConfigError(f"{kind} file {str(path)!r} cannot be imported: {type(error).__name__}: {error}") from error
    return module
