import re
from pathlib import Path

from docs.tables import README, with_tables
from workbench.run.knobs import knob_specs

ROOT = Path(__file__).parents[1]


def test_the_tables_in_the_readme_are_those_of_the_code() -> None:
    text = README.read_text(encoding="utf-8")
    assert with_tables(text) == text, "run python -m docs.tables"
    assert all(f"| `{name}` |" in text for name in knob_specs())


def test_every_file_that_the_readme_names_is_there() -> None:
    text = README.read_text(encoding="utf-8")
    linked = re.findall(r"\]\(([^)#:]+)\)", text)
    assert linked and [path for path in linked if not (ROOT / path).exists()] == []
