"""The earlier runs that a folder holds: what each is, told from a few lines of it, and how to look at one again."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from workbench.errors import ConfigError, KnobError
from workbench.run.check import check_knobs, check_run
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs, knob_differences
from workbench.run.plain import is_number
from workbench.run.presets import PRESETS
from workbench.run.recorder import RunFolder
from workbench.run.rows import Row
from workbench.run.store import RunStore

MOST_RUNS = 50  # in a list; all others stay in the folder
_REACHES = (1 << 16, 1 << 24)  # bytes from the end: a row has a few thousand, one of thousands of groups many more
_STAMPED = re.compile(r"\d{8}-\d{6}-.+")  # as `new_run_path` names a folder
_NO_TEXT = re.compile("[\ud800-\udfff]")  # what Python makes of bytes in a name that are no text


@dataclass(frozen=True, kw_only=True)
class EarlierRun:
    """What a list tells of a run: `name` is its folder's, `created` in seconds since 1970, `steps` its newest step.

    `knobs` are those that it began with and that the preset of its task, or else the default, has otherwise.
    """

    name: str
    title: str
    created: float
    method: str
    bug: str
    model: str
    steps: int
    reward: float | None
    knobs: dict[str, Any]


def list_runs(parent: Path | None) -> list[EarlierRun]:
    """Return the runs in a folder, newest first, at most `MOST_RUNS`. What holds no run with a step is left out."""
    dated = []
    for path in _folders(parent):
        created = _created(path)
        if created is not None:
            dated.append((created, path))
    runs = []
    for (created, _), path in sorted(dated, reverse=True):
        run = _read(path, created)
        if run is not None:
            runs.append(run)
        if len(runs) == MOST_RUNS:
            break
    return runs


def open_earlier(parent: Path | None, name: str) -> RunStore:
    """Return the run in a folder directly within `parent`; raise ConfigError or KnobError if none can be shown.

    The name is only compared with those that are there, so it leads nowhere else.
    """
    path = next((path for path in _folders(parent) if path.name == name), None)
    if path is None:
        raise ConfigError(f"there is no run {name!r:.99} in the folder of runs")
    store = RunStore.open(RunFolder(path), source="replay")
    store.title = run_title(name, store.config)
    if not store.num_rows:
        raise ConfigError(f"the run {name!r:.99} has no step to show")
    return store


def first_settings(folder: RunFolder) -> tuple[RunConfig, Knobs]:
    """Return what a run began with, to begin it again; raise ConfigError or KnobError if that is not possible here."""
    first, own_rewards = folder.read_settings(0), folder.read_about().get("own_rewards")
    if own_rewards:
        raise ConfigError(
            f"the reward functions {own_rewards} were given to a Session and are not in the run's folder: "
            "it cannot be started again here"
        )
    check_run(first.config)
    check_knobs(first.config, first.knobs)
    return first.config, first.knobs


def run_title(name: str, config: RunConfig) -> str:
    """Return what a run is called: as its folder, if somebody named that, else by its prompts."""
    return config.title if _STAMPED.fullmatch(name) else name


def _folders(parent: Path | None) -> Iterator[Path]:
    """Yield the folders in `parent`. Links are left out, which may lead anywhere, and names that are no text."""
    if parent is None:
        return
    try:
        with os.scandir(parent) as found:
            names = [each.name for each in found if each.is_dir(follow_symlinks=False)]
    except OSError:
        return
    yield from (parent / name for name in names if not _NO_TEXT.search(name))


def _created(path: Path) -> tuple[float, float] | None:
    """Return when a run began, in seconds since 1970, then to less than a second; None where there is none to read."""
    try:
        about, written = RunFolder(path).read_about(), (path / "run.json").stat().st_mtime
    except (ConfigError, OSError):
        return None
    try:
        return datetime.fromisoformat(str(about.get("created"))).timestamp(), written
    except (ValueError, OverflowError, OSError):
        return written, written


def _read(path: Path, created: float) -> EarlierRun | None:
    """Return what is told of a run; None where it has no step, or something else than a run's."""
    row = _newest_row(path / "metrics.jsonl")
    if row is None:
        return None
    try:
        first = RunFolder(path).read_settings(0)
        usual = Knobs().changed(PRESETS[first.config.task].knobs if first.config.task in PRESETS else {})
    except (ConfigError, KnobError):
        return None
    reward = row["metrics"].get("reward")
    return EarlierRun(
        name=path.name,
        title=run_title(path.name, first.config),
        created=created,
        method=first.config.method,
        bug=first.config.bug,
        model=first.config.model,
        steps=row["step"],
        reward=reward if is_number(reward) else None,
        knobs={name: new for name, (_, new) in knob_differences(usual, first.knobs).items()},
    )


def _newest_row(path: Path) -> Row | None:
    """Return the last whole line of a file, of which only the end is read; None where that is no row."""
    try:
        row = orjson.loads(_last_line(path))
    except (OSError, orjson.JSONDecodeError):
        return None
    is_row = isinstance(row, dict) and isinstance(row.get("step"), int) and isinstance(row.get("metrics"), dict)
    return row if is_row else None


def _last_line(path: Path) -> bytes:
    """Return the last line that has an end, or nothing; what follows it was cut off by a kill."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        for reach in _REACHES:
            start = max(0, size - reach)
            file.seek(start)
            lines = file.read(size - start).split(b"\n")[:-1]
            whole = lines[1:] if start else lines  # the first began before
            if whole:
                return whole[-1]
    return b""
