import re

import nbformat
import pytest

from notebooks.build import execute, read_source, sources
from workbench.run.tapes import TAPES

SOURCES = sources()


@pytest.fixture(params=SOURCES, ids=[path.stem for path in SOURCES])
def source(request):
    return request.param


def test_there_are_notebooks():
    assert SOURCES


def test_the_notebook_is_what_its_source_says(source):
    made = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    expected = read_source(source)
    advice = "run `python -m notebooks.build`"
    assert [(c.cell_type, c.source) for c in made.cells] == [(c.cell_type, c.source) for c in expected.cells], advice


def test_every_cell_was_run_in_order_without_an_error(source):
    made = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    code = [cell for cell in made.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]


def test_what_is_committed_is_small_static_and_offline(source):
    text = source.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert len(text) < 400_000
    assert not re.search(r"<script|<iframe|<link|src=|@import|cdn|require\(", text, re.IGNORECASE)
    addresses = set(re.findall(r"https?://[^\\\s\"'<)]+", text)) - {"http://www.w3.org/2000/svg"}
    assert not addresses


def test_every_markdown_cell_speaks_both_languages(source):
    for cell in read_source(source).cells:
        if cell.cell_type == "markdown":
            assert re.search(r"[\u4e00-\u9fff]", cell.source) and re.search(r"[a-z]{4}", cell.source)


@pytest.mark.skipif(not TAPES.exists(), reason="the tapes have not been recorded yet")
def test_the_notebook_runs_from_top_to_bottom(source):
    execute(read_source(source))
