"""The README's tables of knobs and metrics, made from the same fields as the sliders and tooltips.

`python -m docs.tables` writes them into the README; a test fails when they are out of date.
"""

import re
from pathlib import Path

from workbench.run.knobs import knob_specs
from workbench.run.knobspec import KnobSpec
from workbench.run.metrics import METRICS

README = Path(__file__).parents[1] / "README.md"


def knob_table() -> str:
    rows = [
        f"| `{spec.name}` | {spec.symbol} | {_allowed(spec)} | {_value(spec.default)} | {spec.takes_effect} "
        f"| {spec.help[0]} |"
        for spec in knob_specs().values()
    ]
    head = "| knob | symbol | allowed | default | first used by the next | what it does |\n|---|---|---|---|---|---|\n"
    return head + "\n".join(rows)


def metric_table() -> str:
    rows = [f"| `{name}` | {m.unit} | {m.formula} | {m.meaning[0]} |" for name, m in METRICS.items()]
    return "| metric | unit | formula | meaning |\n|---|---|---|---|\n" + "\n".join(rows)


def with_tables(readme: str) -> str:
    """Return the README's text with the tables between their markers made anew."""
    for name, table in (("knobs", knob_table()), ("metrics", metric_table())):
        block = f"<!-- {name} -->\n{table}\n<!-- /{name} -->"
        readme = re.sub(rf"<!-- {name} -->.*?<!-- /{name} -->", lambda _, b=block: b, readme, flags=re.DOTALL)
    return readme


def _allowed(spec: KnobSpec) -> str:
    return spec.allowed().replace("|", "\\|")


def _value(value: object) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
