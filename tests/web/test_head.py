"""The page's head: everything that the first screen needs is asked for at once, and nothing else."""

import re
from pathlib import Path

from starlette.testclient import TestClient

from workbench.web.head import page_head
from workbench.web.routes import STATIC

IMPORT = re.compile(r"""^(?:import|export)\b(?:[^;']*?\bfrom)? '(\.[^']+)'|\bimport\('(\.[^']+)'\)""", re.MULTILINE)


def reached_from(script: Path) -> set[Path]:
    """Return the module and all that it imports, directly or through others."""
    found: set[Path] = set()
    waiting = [script.resolve()]
    while waiting:
        at = waiting.pop()
        if at not in found:
            found.add(at)
            waiting += [(at.parent / (a or b)).resolve() for a, b in IMPORT.findall(at.read_text())]
    return found


def test_the_preloaded_modules_are_those_that_the_page_imports():
    preloaded = re.findall(r'rel="modulepreload" href="/wb/static/([^"]+)"', page_head(STATIC))
    assert sorted(preloaded) == sorted(path.relative_to(STATIC).as_posix() for path in reached_from(STATIC / "main.js"))


def test_the_page_arrives_with_our_head_before_gradios_own_scripts(client: TestClient):
    html = client.get("/").text
    assert html.index("/wb/static/main.js") < html.index("/assets/")
    assert html.count(page_head(STATIC)) == 1
    assert html.index("/assets/") < html.index("/wb/static/style.css") < html.index("</head>"), (
        "ours overrules Gradio's"
    )


def test_only_the_page_gets_the_head(client: TestClient):
    assert page_head(STATIC) not in client.get("/theme.css").text
    assert client.head("/").content == b""
    refused = client.get("/", headers={"host": "elsewhere.example"})
    assert refused.status_code == 403
    assert page_head(STATIC) not in refused.text
