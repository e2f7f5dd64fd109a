"""Mistakes on purpose as presets: GRPO with one known mistake built in, on knobs under which its symptom shows."""

from collections.abc import Mapping

from workbench.run.bugs import BUGS
from workbench.run.preset import Preset

_KNOBS = {"max_completion_length": 48}

MISTAKE_PRESETS: Mapping[str, Preset] = {
    f"bug_{name}": Preset(
        bug.title,
        (f"{bug.mistake[0]} {bug.symptom[0]}", f"{bug.mistake[1]}{bug.symptom[1]}"),
        {"task": "addition", "max_steps": 100, "bug": name},
        _KNOBS | dict(bug.knobs),
        group="mistakes",
    )
    for name, bug in BUGS.items()
}
