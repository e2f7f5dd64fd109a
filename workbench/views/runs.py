"""The runs that a page can open: the recording, then the earlier ones, newest first."""

from dataclasses import asdict
from typing import Any

from workbench.run.library import MOST_RUNS, EarlierRun, run_title
from workbench.run.store import RunStore
from workbench.run.workbench import Workbench


def page_runs(workbench: Workbench) -> dict[str, Any]:
    """Return what the page lists, each with whether it is on show; `most` is how many earlier runs a list has."""
    shown = workbench.store
    folder = shown.folder.path.name if shown.folder is not None and shown is not workbench.recording else None
    runs = workbench.runs()
    return {
        "recording": _recording(workbench.recording, shown is workbench.recording),
        "runs": [asdict(run) | {"shown": run.name == folder} for run in runs],
        "most": MOST_RUNS,
        "folder": None if workbench.runs_folder is None else str(workbench.runs_folder),
    }


def _recording(store: RunStore, is_shown: bool) -> dict[str, Any]:
    """Return an entry like the others'; it has no name to open it by, and neither its date nor its knobs matter."""
    newest = store.rows(-1)
    entry = EarlierRun(
        name="",
        title=run_title(store.title, store.config),
        created=0.0,
        method=store.config.method,
        bug=store.config.bug,
        model=store.config.model,
        steps=store.newest_step,
        reward=newest[0]["metrics"].get("reward") if newest else None,
        knobs={},
    )
    return asdict(entry) | {"shown": is_shown}
