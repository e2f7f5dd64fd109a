"""The README's tables of knobs, metrics, presets, mistakes and fast paths, made from what the page's words come from.

`python -m docs.tables` writes them into the README; a test fails when they are out of date.
"""

import re
from itertools import groupby
from pathlib import Path

from workbench.run.bugs import BUGS
from workbench.run.fastpaths import FAST_PATHS
from workbench.run.knobs import knob_specs
from workbench.run.knobspec import Above, KnobSpec
from workbench.run.metrics import METRICS
from workbench.run.presets import PRESETS

README = Path(__file__).parents[1] / "README.md"
GROUPS = {
    "sampling": "Sampling",
    "advantage": "Advantage",
    "loss": "Loss",
    "selection": "What is learned from",
    "kl": "KL to the reference",
    "update": "Update",
}


def knob_table() -> str:
    """Return the knobs in the order of the data's path, each group under its name."""
    rows = []
    for group, specs in groupby(knob_specs().values(), key=lambda spec: spec.group):
        rows.append(f"| **{GROUPS[group]}** | | | | | |")
        rows += [
            f"| `{spec.name}` | {spec.symbol} | {_allowed(spec)} | {_value(spec.default)} | {spec.takes_effect} "
            f"| {spec.help[0]}{_used_with(spec)} |"
            for spec in specs
        ]
    head = "| knob | symbol | allowed | default | first used by the next | what it does |\n|---|---|---|---|---|---|\n"
    return head + "\n".join(rows)


def metric_table() -> str:
    rows = [f"| `{name}` | {m.unit} | {m.formula} | {m.meaning[0]} |" for name, m in METRICS.items()]
    return "| metric | unit | formula | meaning |\n|---|---|---|---|\n" + "\n".join(rows)


def preset_table() -> str:
    rows = [
        f"| `{name}` | {preset.title[0]} | {preset.description[0]} |"
        for name, preset in PRESETS.items()
        if preset.group != "mistakes"
    ]
    return "| preset | | what it is |\n|---|---|---|\n" + "\n".join(rows)


def mistake_table() -> str:
    rows = [
        f"| `bug_{name}` | {bug.mistake[0]} | {bug.symptom[0]} | `{bug.caught_by.split('::')[-1]}` |"
        for name, bug in BUGS.items()
    ]
    return "| preset | mistake | symptom | caught by |\n|---|---|---|---|\n" + "\n".join(rows)


def fast_path_table() -> str:
    rows = [
        f"| `{name}` | {', '.join(path.stages)} | {path.meaning[0]} | {path.needs[0]} |"
        for name, path in FAST_PATHS.items()
    ]
    return "| fast path | stages | what it does | when |\n|---|---|---|---|\n" + "\n".join(rows)


def with_tables(readme: str) -> str:
    """Return the README's text with the tables between their markers made anew."""
    tables = {
        "knobs": knob_table(),
        "metrics": metric_table(),
        "presets": preset_table(),
        "mistakes": mistake_table(),
        "fast_paths": fast_path_table(),
    }
    for name, table in tables.items():
        block = f"<!-- {name} -->\n{table}\n<!-- /{name} -->"
        readme = re.sub(rf"<!-- {name} -->.*?<!-- /{name} -->", lambda _, b=block: b, readme, flags=re.DOTALL)
    return readme


def _used_with(spec: KnobSpec) -> str:
    """Return the values of other knobs with which this one has an effect, if not with all."""
    conditions = [
        " and ".join(
            f"`{name}` > {wanted.bound:g}" if isinstance(wanted, Above) else f"`{name}` {', '.join(wanted)}"
            for name, wanted in condition.items()
        )
        for condition in spec.used_when
    ]
    return f" Used with {'; or '.join(conditions)}." if conditions else ""


def _allowed(spec: KnobSpec) -> str:
    return spec.allowed().replace("|", "\\|")


def _value(value: object) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
