"""Importing the large libraries without work that nobody reads, half of Gradio's own time, or that was done before."""

import functools
import gc
import marshal
import os
import re
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import cache_from_source, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

_OF_HTTP_CLIENTS = {"http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir"}


@contextmanager
def quick_imports() -> Iterator[None]:
    """Within it modules are imported without a search for garbage, and those named in `_AMENDED` without their detours.

    An import makes hundreds of thousands of objects and next to no garbage. A module that is no longer there, or no
    longer has what is amended, is imported as it is.
    """
    was_collecting = gc.isenabled()
    finder = _AmendedFinder()
    gc.disable()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        if was_collecting:
            gc.enable()


@contextmanager
def without_proxies() -> Iterator[None]:
    """Hide the proxies and certificates that the environment names.

    Gradio makes HTTP clients while it is imported, of which the page uses none, and fails at those it cannot read.
    """
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.lower() in _OF_HTTP_CLIENTS}
    try:
        yield
    finally:
        os.environ.update(hidden)


def import_engine() -> None:
    """Import the engine, and with it torch and transformers, and let later searches for garbage leave it all alone."""
    if "workbench.engine.trainer" in sys.modules:
        return
    with quick_imports():
        import workbench.engine.trainer  # noqa: F401, PLC0415 - seconds, for which neither page nor help should wait
    gc.freeze()


def _write_no_stubs(module: ModuleType) -> None:
    """Gradio writes a .pyi file for editors beside every component, anew with every import."""
    if hasattr(module, "create_or_modify_pyi"):
        module.__dict__["create_or_modify_pyi"] = lambda component_class, class_name, events: None


def _write_no_docs(module: ModuleType) -> None:
    """Gradio fills each component's name into the docstring of each of its events, with a template engine."""
    if hasattr(module, "EventListener"):
        module.EventListener.set_doc = lambda listener, component: None


def _remember_models(module: ModuleType) -> None:
    """transformers reads the source of all its models for the names in it, some 550 folders, twice in every process.

    Its cache holds 128. What it finds is kept beside its compiled modules, for as long as the folder stays as it is.
    """
    scan = getattr(module.__dict__.get("create_import_structure_from_path"), "__wrapped__", None)
    if scan is not None:
        module.__dict__["create_import_structure_from_path"] = functools.cache(functools.partial(remembered, scan))


def remembered(scan: Callable[[Any], Any], path: Any) -> Any:
    """Return what `scan` finds in transformers' models, or found before; elsewhere what it finds."""
    models = Path(path).parent if os.path.isfile(path) else Path(path)
    if models.name != "models" or not models.is_relative_to(sysconfig.get_path("purelib")):
        return scan(path)  # part of the whole, or somebody's own copy, in which models are edited
    kept = Path(cache_from_source(str(models / "names.py"))).with_suffix(".marshal")
    try:
        return marshal.loads(kept.read_bytes())[models.stat().st_mtime_ns]
    except (OSError, EOFError, ValueError, TypeError, KeyError):
        found = scan(path)
    with suppress(OSError, ValueError):  # it cannot be written, or not as it is: the next process reads again
        kept.parent.mkdir(exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}")
        part.write_bytes(marshal.dumps({models.stat().st_mtime_ns: found}))
        part.replace(kept)
    return found


class _PatternWhenAsked:
    """A regular expression that is compiled when something of it is asked for."""

    def __init__(self, *arguments: Any) -> None:
        self._arguments = arguments

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(re.compile(*self._arguments), name)  # of which `re` keeps the last 512


def _compile_patterns_when_asked(module: ModuleType) -> None:
    """transformers compiles a thousand patterns, the weights' old names in all its models, to load one model."""
    if hasattr(module, "re"):
        module.__dict__["re"] = SimpleNamespace(**vars(re) | {"compile": _PatternWhenAsked})


_AMENDED: dict[str, Callable[[ModuleType], None]] = {
    "gradio.component_meta": _write_no_stubs,
    "gradio.events": _write_no_docs,
    "transformers.utils.import_utils": _remember_models,
    "transformers.core_model_loading": _compile_patterns_when_asked,
}


class _AmendedFinder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        found = PathFinder.find_spec(fullname, path, target) if fullname in _AMENDED else None
        if found is None or found.origin is None:
            return None
        return spec_from_file_location(fullname, found.origin, loader=_AmendingLoader(fullname, found.origin))


class _AmendingLoader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        _AMENDED[module.__name__](module)
