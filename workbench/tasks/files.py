"""Functions that the user writes in a file of their own, named as ``path/to/file.py:function``."""

import importlib.util
import inspect
import os
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from workbench.errors import ConfigError

_VERSION = "__version_of_file__"


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
    module = _module_of(path.resolve(), kind)
    if not hasattr(module, attribute):
        found = [key for key, value in vars(module).items() if inspect.isfunction(value) and not key.startswith("_")]
        raise ConfigError(
            f"{kind} file {str(path)!r} has no {attribute!r}; its functions are {', '.join(found) or 'none'}"
        )
    function = getattr(module, attribute)
    if not callable(function):
        raise ConfigError(f"{attribute!r} in {kind} file {str(path)!r} is a {type(function).__name__}, not a function")
    return function


def _module_of(path: Path, kind: str) -> ModuleType:
    """Return the file's module: imported once for as long as the file stays as it is, like any other module.

    So functions of one file share what it holds, and a large import in it is waited for once. Modules beside the file
    can be imported from it.
    """
    state = path.stat()
    version = (state.st_mtime_ns, state.st_size)
    name = f"own_file_{path.stem}_{zlib.crc32(os.fsencode(path)):08x}"
    module = sys.modules.get(name)
    if module is None or module.__dict__.get(_VERSION) != version:
        module = _import_file(path, name, kind)
        setattr(module, _VERSION, version)
    return module


def _import_file(path: Path, name: str, kind: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None, f"a .py file has a loader: {path}"
    module = importlib.util.module_from_spec(spec)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    sys.modules[name] = module  # pickle and dataclasses look it up by its name
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's file may raise anything; it is kept as the cause
        del sys.modules[name]
        raise ConfigError(f"{kind} file {str(path)!r} cannot be imported: {type(error).__name__}: {error}") from error
    return module
