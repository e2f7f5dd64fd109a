"""One run as it is looked at: the scalars of all its steps, its knob changes, and the full record of any step."""

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Any, Literal
from uuid import uuid4

from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs, knob_differences
from workbench.run.record import StepRecord
from workbench.run.recorder import RunFolder

Source = Literal["live", "tape", "replay"]


class RunStore:
    """Append from one thread, read from many. Full records beyond the last `keep` are read back from `folder`.

    `focus` is the moment worth opening on: a step, a group and a completion.
    """

    def __init__(
        self,
        config: RunConfig,
        knobs: Knobs,
        *,
        title: str,
        source: Source = "live",
        folder: RunFolder | None = None,
        keep: int = 64,
        focus: dict[str, int] | None = None,
    ) -> None:
        self.id = uuid4().hex[:8]
        self.config, self.title, self.source, self.folder, self.focus = config, title, source, folder, focus
        self._keep = keep
        self._lock = Lock()  # guards the four fields below
        self._knobs = knobs
        self._rows: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []
        self._records: OrderedDict[int, StepRecord] = OrderedDict()

    @classmethod
    def open(cls, folder: RunFolder, *, title: str, source: Source, focus: dict[str, int] | None = None) -> "RunStore":
        """Return the run that `folder` holds; raise ConfigError if it holds none."""
        run = folder.read()
        store = cls(run.config, run.knobs, title=title, source=source, folder=folder, focus=focus)
        store._rows, store._events = run.rows, run.events
        return store

    def append(self, record: StepRecord) -> None:
        """Add a finished step, in memory and in the run folder."""
        row = record.row()
        with self._lock:
            events = [
                {"index": len(self._events) + i, "step": record.step, "knob": name, "old": old, "new": new}
                for i, (name, (old, new)) in enumerate(knob_differences(self._knobs, record.knobs).items())
            ]
        if self.folder is not None:
            self.folder.append(record, row, events)
        with self._lock:
            self._knobs = record.knobs
            self._events += events
            self._rows.append(row)
            self._remember(record)

    def rows(self, since: int = 0) -> list[dict[str, Any]]:
        """Return the rows from number `since` on; a negative number counts from the end."""
        with self._lock:
            return self._rows[since:]

    def events(self, since: int = 0) -> list[dict[str, Any]]:
        with self._lock:
            return self._events[since:]

    @property
    def knobs(self) -> Knobs:
        """The knobs of the newest step, or those that the first one will use."""
        with self._lock:
            return self._knobs

    @property
    def newest_step(self) -> int:
        with self._lock:
            return self._rows[-1]["step"] if self._rows else 0

    @property
    def memory(self) -> Mapping[str, int]:
        """What the newest step held, in bytes by part; empty before there is one."""
        with self._lock:
            return self._rows[-1].get("memory", {}) if self._rows else {}

    def record(self, step: int) -> StepRecord:
        """Return the full record of `step`; raise KeyError if the run has no such step or no longer holds it."""
        with self._lock:
            if step in self._records:
                return self._records[step]
            if not any(row["step"] == step for row in reversed(self._rows)):
                raise KeyError(f"run {self.id} has no step {step}")
        if self.folder is None:
            raise KeyError(
                f"step {step} is no longer in memory: only the last {self._keep} steps are, without a folder"
            )
        record = self.folder.read_step(step)
        with self._lock:
            self._remember(record)
        return record

    def _remember(self, record: StepRecord) -> None:
        self._records[record.step] = record
        while len(self._records) > self._keep:
            self._records.popitem(last=False)
