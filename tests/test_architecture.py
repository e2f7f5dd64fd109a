"""The house rules that a machine can read: who imports whom, how long a function is, what JavaScript may not do."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "workbench"
MAX_LINE, MAX_FUNCTION_LINES, MAX_MODULE_LINES = 120, 40, 250
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))
SCRIPTS = sorted((PACKAGE / "web" / "static").rglob("*.js"))

# What each part may import besides the standard library and itself: at the top of a file, and within a function.
ALLOWED: dict[str, tuple[set[str], set[str]]] = {
    "grpo": ({"torch", "jaxtyping"}, set()),
    "tasks": (
        {"workbench.errors"},
        {"datasets", "pyarrow", "huggingface_hub", "httpx2", "math_verify", "latex2sympy2_extended"},
    ),
    "run": (
        {"numpy", "orjson", "workbench.tasks", "workbench.models.location", "workbench.errors"},
        set(),
    ),
    "engine": (
        {"torch", "jaxtyping", "numpy", "transformers", "peft", "accelerate", "safetensors", "jinja2"}
        | {"workbench.grpo", "workbench.tasks", "workbench.models.location", "workbench.errors"}
        | {"workbench.run.config", "workbench.run.fastpaths", "workbench.run.knobs"}
        | {"workbench.run.completion", "workbench.run.groups", "workbench.run.record"},
        set(),
    ),
    "models": ({"torch", "transformers", "tokenizers", "workbench.tasks", "workbench.errors"}, set()),
    "views": ({"numpy", "plotly", "orjson", "workbench.run"}, set()),
    "web": (
        {"gradio", "fastapi", "starlette", "uvicorn", "orjson", "plotly"}
        | {"workbench.views", "workbench.run", "workbench.errors", "workbench.tasks.registry"},
        set(),
    ),
}
# Single files that may do more, or must do with less.
ALLOWED_WITHIN = {"run/session.py": {"workbench.engine"}}
ALLOWED_TOO = {
    "models/make_tape.py": {"workbench.run", "numpy", "orjson"},  # a script: it trains what the page opens on
    "web/server.py": {"workbench.imports"},  # it imports Gradio while it already answers
}
ALLOWED_ONLY = {
    "models/location.py": {"workbench.errors"},
    "models/make_tape.py": {"numpy", "orjson", "workbench.run"},  # a script: it trains to make the recording
}
# The table of the knobs: declarations, one field after another.
LONGER_MODULES = {"run/knobs.py"}


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imports_of(source: str) -> Iterator[tuple[str, bool]]:
    """Yield (module, whether it is imported within a function)."""
    tree = ast.parse(source)
    within = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in within
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from ((name, id(node) in within) for name in _modules_of(node))


def _modules_of(node: ast.ImportFrom) -> list[str]:
    """Return what `from a import b` imports: `a.b` where b is itself a module of ours, else `a`."""
    module = node.module or ""
    submodules = [f"{module}.{alias.name}" for alias in node.names]
    ours = [name for name in submodules if (ROOT / name.replace(".", "/")).with_suffix(".py").exists()]
    return ours or [module]


def is_among(module: str, allowed: set[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in allowed)


def forbidden_imports(name: str, source: str) -> list[str]:
    part = name.split("/")[0]
    at_top, within = ALLOWED[part]
    at_top = ALLOWED_ONLY.get(name, at_top | {f"workbench.{part}"}) | ALLOWED_TOO.get(name, set())
    within = at_top | within | ALLOWED_WITHIN.get(name, set())
    return [
        module
        for module, is_within in imports_of(source)
        if module.split(".")[0] not in sys.stdlib_module_names and not is_among(module, within if is_within else at_top)
    ]


def functions_of(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def num_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function's body: signature and docstring left out, blank lines and comments counted."""
    first, *others = function.body
    is_docstring = isinstance(first, ast.Expr) and isinstance(getattr(first.value, "value", None), str)
    if is_docstring and not others:
        return 0
    begin = others[0].lineno if is_docstring else first.lineno
    return (function.end_lineno or begin) - begin + 1


@pytest.mark.parametrize("path", [path for path in MODULES if "/" in name_of(path)], ids=name_of)
def test_a_module_imports_only_what_its_part_may(path):
    assert forbidden_imports(name_of(path), path.read_text()) == []


def test_the_rule_sees_a_forbidden_import():
    assert forbidden_imports("views/a.py", "import torch") == ["torch"]
    assert forbidden_imports("grpo/a.py", "from workbench.run import knobs") == ["workbench.run.knobs"]
    assert forbidden_imports("web/a.py", "def f():\n    from workbench.engine.step import g") == [
        "workbench.engine.step"
    ]
    assert forbidden_imports("engine/a.py", "from workbench.run.store import RunStore") == ["workbench.run.store"]
    assert forbidden_imports("run/session.py", "import workbench.engine.trainer") == ["workbench.engine.trainer"]
    assert forbidden_imports("run/session.py", "def f():\n    import workbench.engine.trainer") == []
    assert forbidden_imports("tasks/a.py", "import datasets") == ["datasets"]
    assert forbidden_imports("run/a.py", "import torchvision") == ["torchvision"], "a prefix of a name is another name"


def test_every_folder_of_the_package_has_its_rule():
    assert {name_of(path).split("/")[0] for path in MODULES if "/" in name_of(path)} <= ALLOWED.keys()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_function_is_longer_than_a_screen_and_no_module_than_a_few(path):
    source = path.read_text()
    long = {f.name: num_lines(f) for f in functions_of(ast.parse(source)) if num_lines(f) > MAX_FUNCTION_LINES}
    assert long == {}
    assert len(source.splitlines()) <= MAX_MODULE_LINES or name_of(path) in LONGER_MODULES


@pytest.mark.parametrize("path", sorted((PACKAGE / "grpo").glob("*.py")), ids=name_of)
def test_every_public_function_of_the_formulas_says_what_it_returns(path):
    public = [f for f in functions_of(ast.parse(path.read_text())) if not f.name.startswith("_")]
    assert [f.name for f in public if not ast.get_docstring(f)] == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_text_enters_the_page_as_text(path):
    dangerous = r"\.(inner|outer)HTML\b|\binsertAdjacentHTML\b|\bdocument\.write\b|\beval\(|\bnew Function\b"
    assert re.findall(dangerous, path.read_text()) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_line_of_a_script_fits_on_a_screen(path):
    assert [line for line in path.read_text().splitlines() if len(line) > MAX_LINE] == []


def test_importing_the_package_loads_neither_torch_nor_gradio():
    slow = ("torch", "gradio", "transformers", "plotly", "datasets", "pandas")
    program = f"import sys, workbench; print([name for name in {slow!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_page_never_loads_torch():
    modules = [
        f"workbench.{name_of(path)[:-3].replace('/', '.')}" for path in MODULES if name_of(path).startswith("web/")
    ]
    program = f"import sys, {', '.join(modules)}; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
