"""The bundled recordings: what the page shows before anything has been trained."""

from pathlib import Path

import orjson

from workbench.run.recorder import RunFolder
from workbench.run.store import RunStore

TAPES = Path(__file__).parents[1] / "models" / "tapes"


def open_tape(name: str = "addition") -> RunStore:
    """Return a bundled recording, with the moment in it worth opening on; raise ConfigError if it is missing."""
    folder = TAPES / name
    focus_file = folder / "focus.json"
    focus = orjson.loads(focus_file.read_bytes()) if focus_file.exists() else None
    return RunStore.open(RunFolder(folder), title=name, source="tape", focus=focus)
