"""The run folder: `run.json`, `metrics.jsonl`, `events.jsonl`, `steps/`, `adapter/`.

A step's arrays are written first, its line in `metrics.jsonl` last. A kill at any moment therefore loses at most the
step that is being written and what comes after it: a reader counts only the steps that have a whole line.
"""

import platform
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import orjson

from workbench.errors import ConfigError, WriteError
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs
from workbench.run.record import StepRecord
from workbench.run.recording import SCHEMA, read_step, step_path, write_step

_PACKAGES = ("torch", "transformers", "peft", "numpy")
# What numpy, zipfile and the record itself raise at a file that is missing, cut off or changed.
_DAMAGE = (OSError, EOFError, BadZipFile, zlib.error, RuntimeError, LookupError, AttributeError, TypeError, ValueError)


@dataclass(frozen=True)
class RunSettings:
    """What a run folder says besides its rows. `knobs` are those of its newest step."""

    config: RunConfig
    knobs: Knobs
    events: list[dict[str, Any]]


@dataclass(frozen=True)
class RecordedRun(RunSettings):
    """What a run folder says, without the per-token arrays."""

    rows: list[dict[str, Any]]


class RunFolder:
    """A run on disk. `create` starts one, `append` adds a step, `read` and `read_step` give it back."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, config: RunConfig, knobs: Knobs, *, own_rewards: Sequence[str] = ()) -> "RunFolder":
        """Make the folder and write `run.json`; raise ConfigError if `path` already holds a run or cannot be made.

        `own_rewards` are the names of reward functions that were given as such: the config has none of them.
        """
        about = {
            "schema": SCHEMA,
            "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "config": config.as_dict(),
            "knobs": asdict(knobs),
            "own_rewards": list(own_rewards),
            "versions": {"python": platform.python_version(), **_versions()},
        }
        _write_about(path, orjson.dumps(about, option=orjson.OPT_INDENT_2))
        return cls(path)

    @property
    def adapter(self) -> Path:
        return self.path / "adapter"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    def append(
        self, record: StepRecord, row: dict[str, Any], events: Iterable[dict[str, Any]], *, beside: bool = False
    ) -> None:
        """Write one finished step: its arrays, the knob changes it began with, its scalars.

        The time that takes belongs to the step, unless it is written `beside` the next one: it is added to the row.
        """
        began = time.perf_counter()
        try:
            write_step(step_path(self.path, record.step), record)
            if not beside:
                _add_time(row, time.perf_counter() - began)
            _append_lines(self.path / "events.jsonl", events)
            _append_lines(self.metrics, [row])
        except OSError as error:
            raise WriteError(f"step {record.step} cannot be written to {self.path}: {error.strerror}") from error

    def read(self) -> RecordedRun:
        """Return the run's settings and scalars; raise ConfigError if the folder holds no run that can be read."""
        self.read_about()
        rows = [row for row, _ in self.read_rows()]
        settings = self.read_settings(rows[-1]["step"] if rows else 0)
        return RecordedRun(settings.config, settings.knobs, settings.events, rows)

    def read_settings(self, newest_step: int) -> RunSettings:
        """Return the run's settings and its knob changes up to a step; raise ConfigError if there is no run to read."""
        about = self.read_about()
        lines = _read_lines(self.path / "events.jsonl", ("step", "knob", "old", "new"))
        events = [event for event, _ in lines if event["step"] <= newest_step]
        changes = {event["knob"]: event["new"] for event in events}
        knobs = Knobs().changed(about["knobs"]).changed(changes)
        return RunSettings(RunConfig.from_mapping(about["config"]), knobs, events)

    def read_rows(self) -> Iterator[tuple[dict[str, Any], int]]:
        """Yield the scalars of each step, one at a time, with the byte at which its line in `metrics` ends.

        Raises ConfigError at a line that is damaged.
        """
        return _read_lines(self.metrics, ("step", "metrics", "tokens", "groups", "timings", "device"))

    def read_about(self) -> dict[str, Any]:
        """Return what `run.json` holds; raise ConfigError if it is missing, damaged or of another version."""
        path = self.path / "run.json"
        try:
            about = orjson.loads(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ConfigError(f"{self.path} holds no run: it has no run.json") from error
        except OSError as error:
            raise _unreadable(path, error) from error
        except orjson.JSONDecodeError as error:
            raise ConfigError(f"{path} is not valid JSON: {error}") from error
        schema = about.get("schema") if isinstance(about, dict) else None
        if schema != SCHEMA:
            raise ConfigError(f"{self.path} has schema {schema}; this version reads schema {SCHEMA}")
        if not isinstance(about.get("config"), dict) or not isinstance(about.get("knobs"), dict):
            raise ConfigError(f"{path} has no config or no knobs")
        return about

    def read_step(self, step: int) -> StepRecord:
        """Return the full record of a step; raise ConfigError if its file is missing or damaged."""
        path = step_path(self.path, step)
        try:
            return read_step(path)
        except _DAMAGE as error:
            raise ConfigError(
                f"step {step} cannot be shown: {path} is missing, damaged or of another version"
            ) from error


def new_run_path(parent: Path, title: str) -> Path:
    """Return a folder in `parent` that does not exist yet, named by date, time and `title`."""
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{title}"
    path = parent / name
    number = 2
    while path.exists():
        path, number = parent / f"{name}-{number}", number + 1
    return path


def _write_about(path: Path, about: bytes) -> None:
    """Make a run folder with its `run.json`, which only one run can have: whoever writes it first."""
    try:
        (path / "steps").mkdir(parents=True, exist_ok=True)
        file = (path / "run.json").open("xb")
    except FileExistsError as error:
        if not (path / "run.json").exists():
            raise ConfigError(f"cannot make the run folder {path}: {error.strerror}") from error
        raise ConfigError(f"{path} already holds a run: choose another folder") from error
    except OSError as error:
        raise ConfigError(f"cannot make the run folder {path}: {error.strerror}") from error
    try:
        with file:
            file.write(about)
    except OSError as error:
        (path / "run.json").unlink()
        raise ConfigError(f"cannot make the run folder {path}: {error.strerror}") from error


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _add_time(row: dict[str, Any], seconds: float) -> None:
    """Count `seconds` as the recording's, in the row's timings and in its step time, where it has one."""
    timings, metrics = row["timings"], row["metrics"]
    timings["record"] = timings.get("record", 0.0) + seconds
    if metrics.get("step_time") is not None:
        metrics["step_time"] += seconds


def _append_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    lines = b"".join(orjson.dumps(row) + b"\n" for row in rows)
    if lines:
        with path.open("ab") as file:
            file.write(lines)


def _read_lines(path: Path, names: Sequence[str]) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield the whole lines of a file and where they end; the last may have been cut off by a kill: it is left out."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unreadable(path, error) from error
    end = 0
    with file:
        for number, line in enumerate(file, start=1):
            if line.endswith(b"\n"):
                end += len(line)
                yield _read_line(line, names, number, path), end


def _read_line(line: bytes, names: Sequence[str], number: int, path: Path) -> dict[str, Any]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        row = None
    if not isinstance(row, dict) or not row.keys() >= set(names) or not isinstance(row["step"], int):
        raise ConfigError(f"line {number} of {path} is damaged: it must be a JSON object with {', '.join(names)}")
    return row


def _unreadable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{path} cannot be read: {error.strerror}")
