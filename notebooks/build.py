"""Make every notebook from its `.py` source and run it: `python -m notebooks.build [NAME…]`.

The sources are the truth: edit those, then build. The notebooks are committed with their outputs, so that they can be
read where nothing runs.
"""

import os
import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parent
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def sources() -> list[Path]:
    return sorted(FOLDER.glob("[0-9]*.py"))


def read_source(path: Path) -> NotebookNode:
    """Return the notebook of a source, without outputs; equal sources give equal notebooks."""
    notebook = jupytext.read(path, fmt="py:percent")
    notebook.metadata = NotebookNode(kernelspec=NotebookNode(KERNEL), language_info=NotebookNode(name="python"))
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{number}", NotebookNode()
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def execute(notebook: NotebookNode, *, timeout_s: int = 120) -> NotebookNode:
    """Run the notebook in its folder and return it with outputs; raise CellExecutionError where a cell fails.

    What libraries write to standard error, progress bars and their own deprecations, is left out.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    where = {"metadata": {"path": str(FOLDER)}}
    NotebookClient(notebook, timeout=timeout_s, resources=where, record_timing=False, coalesce_streams=True).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata.language_info = NotebookNode(name="python")
    return notebook


def main(names: list[str]) -> None:
    for path in sources():
        if not names or path.stem in names:
            nbformat.write(execute(read_source(path)), path.with_suffix(".ipynb"))
            print(f"{path.stem}: built")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
