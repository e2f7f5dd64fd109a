"""What a start imports, and what it does not: each claim in a fresh interpreter."""

import gc
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from workbench.imports import quick_imports, remembered, without_proxies

ROOT = Path(__file__).parents[1]
PAGE_ONLY = ("gradio", "fastapi", "uvicorn", "plotly", "pandas")
ENGINE_ONLY = ("torch", "transformers", "peft", "accelerate")
NEITHER = ("datasets", "sklearn", "scipy", "torchvision", "matplotlib")


def outcome(program: str) -> object:
    """Return what a program, run in a fresh interpreter, leaves in `result`."""
    command = [sys.executable, "-c", f"{program}\nimport json\nprint(json.dumps(result))"]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def loaded(program: str, names: tuple[str, ...]) -> object:
    return outcome(f"import sys\n{program}\nresult = [name for name in {names!r} if name in sys.modules]")


def test_the_commands_read_their_flags_before_anything_slow_is_imported():
    assert loaded("import app", PAGE_ONLY + ENGINE_ONLY + NEITHER) == []
    assert loaded("import workbench.__main__", PAGE_ONLY + ENGINE_ONLY + NEITHER) == []


def test_the_page_imports_nothing_of_the_engine():
    assert loaded("import workbench.web.server", ENGINE_ONLY + NEITHER) == []


def test_training_without_a_page_imports_nothing_of_the_page():
    program = """
import contextlib, io, workbench.__main__ as command
with contextlib.redirect_stdout(io.StringIO()):
    command.main(["train", "--steps", "1"])
"""
    assert loaded(program, PAGE_ONLY + NEITHER + ENGINE_ONLY) == list(ENGINE_ONLY)


def test_gradio_is_imported_without_its_stubs_for_editors():
    program = """
import ast
from workbench.imports import quick_imports
parsed = []
segment = ast.get_source_segment
ast.get_source_segment = lambda *arguments, **options: parsed.append(arguments) or segment(*arguments, **options)
with quick_imports():
    import gradio as gr
from gradio import component_meta
result = [component_meta.create_or_modify_pyi.__module__, gr.events.EventListener.set_doc.__module__, len(parsed)]
"""
    assert outcome(program) == ["workbench.imports", "workbench.imports", 0]


def test_transformers_reads_the_source_of_its_models_once_and_for_all():
    program = """
from workbench.imports import quick_imports
with quick_imports():
    import transformers, transformers.models
from transformers.utils.import_utils import create_import_structure_from_path as find
folder = transformers.models.__path__[0]
num_read = find.cache_info().misses
result = [num_read, find(folder) == find.__wrapped__.args[0](folder), len(find(folder)) > 100]
"""
    outcome(program)
    assert outcome(program) == [2, True, True]


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is where installed packages are."""
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / "installed"))
    folder = tmp_path / "installed" / "transformers" / "models"
    folder.mkdir(parents=True)
    return folder


def scans_of(paths: list[Path]) -> tuple[list[str], list[object]]:
    scanned: list[str] = []

    def scan(path: Path) -> object:
        scanned.append(path.name)
        return {frozenset({"torch"}): {"llama": {str(len(scanned))}}}

    return scanned, [remembered(scan, path) for path in paths]


def test_what_is_found_in_a_folder_is_remembered_as_long_as_it_is_the_same(models: Path):
    (models / "__init__.py").touch()
    scanned, found = scans_of([models, models, models / "__init__.py"])
    assert scanned == ["models"]
    assert found == [{frozenset({"torch"}): {"llama": {"1"}}}] * 3
    (models / "another").mkdir()
    assert scans_of([models, models])[0] == ["models"]


def test_what_is_kept_may_be_broken_or_impossible_to_keep(models: Path):
    scans_of([models])
    (kept,) = (models / "__pycache__").iterdir()
    kept.write_bytes(b"broken")
    assert scans_of([models, models])[0] == ["models"]
    kept.unlink()
    (models / "__pycache__").rmdir()
    (models / "__pycache__").touch()  # where a folder should be
    assert scans_of([models, models])[0] == ["models"] * 2


def test_folders_in_which_somebody_may_be_at_work_are_read_each_time(models: Path, tmp_path: Path):
    own = tmp_path / "transformers" / "models"
    assert scans_of([own, own, models / "llama", models / "llama"])[0] == ["models", "models", "llama", "llama"]


def test_transformers_compiles_the_patterns_that_it_looks_for_and_no_others():
    program = """
import re
from workbench.imports import quick_imports
with quick_imports():
    from transformers import conversion_mapping
compiled = []
compile = re.compile
re.compile = lambda *arguments: compiled.append(arguments) or compile(*arguments)
mapping = conversion_mapping.get_checkpoint_conversion_mapping("mixtral")
none_yet, (renaming, *_) = len(compiled), mapping
result = [none_yet, renaming.compiled_sources.search(renaming.source_patterns[0]) is not None, len(compiled)]
"""
    assert outcome(program) == [0, True, 1]


def test_quick_imports_leave_the_interpreter_as_it_was():
    finders, was_collecting = list(sys.meta_path), gc.isenabled()
    with quick_imports():
        assert not gc.isenabled()
    assert sys.meta_path == finders
    assert gc.isenabled() == was_collecting


def test_proxies_are_hidden_only_while_gradio_is_imported(monkeypatch):
    proxies = {"HTTPS_PROXY": "http://proxy:1", "all_proxy": "socks://proxy:2"}
    for name, value in {**proxies, "HF_HOME": "/somewhere"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RuntimeError), without_proxies():
        assert not proxies.keys() & os.environ.keys() and os.environ["HF_HOME"] == "/somewhere"
        raise RuntimeError
    assert {name: os.environ[name] for name in proxies} == proxies
