"""One run as it is looked at: the scalars of all its steps, its knob changes, and the full record of any step."""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from pathlib import Path
from threading import Lock
from typing import Any, Literal
from uuid import uuid4

from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs, knob_differences
from workbench.run.record import StepRecord
from workbench.run.recorder import RunFolder
from workbench.run.rows import Row, RowLog

Source = Literal["live", "tape", "replay"]


class RunStore:
    """Append from one thread, read from many. Full records beyond the last `keep` are read back from `folder`, and so
    are the rows that are not among the newest: with a folder, a run takes the same memory however long it is.

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
        self._log = RowLog(None if folder is None else folder.metrics)
        self._events: list[dict[str, Any]] = []
        self._records: OrderedDict[int, StepRecord] = OrderedDict()

    @classmethod
    def open(
        cls, folder: RunFolder, *, source: Source, title: str | None = None, focus: dict[str, int] | None = None
    ) -> "RunStore":
        """Return the run in `folder`, called by its prompts if not `title`; raise ConfigError if there is none."""
        log = RowLog(folder.metrics)
        for row, end in folder.read_rows():
            log.append(row, end)
        run = folder.read_settings(log.newest["step"] if log.newest else 0)
        store = cls(run.config, run.knobs, title=title or run.config.title, source=source, folder=folder, focus=focus)
        store._log, store._events = log, run.events
        return store

    def append(self, record: StepRecord, *, beside: bool = False) -> None:
        """Add a finished step, in memory and in the run folder: within its time, or beside a training that goes on."""
        row, end = record.row(), 0
        with self._lock:
            events = [
                {"index": len(self._events) + i, "step": record.step, "knob": name, "old": old, "new": new}
                for i, (name, (old, new)) in enumerate(knob_differences(self._knobs, record.knobs).items())
            ]
        if self.folder is not None:
            self.folder.append(record, row, events, beside=beside)
            end = self.folder.metrics.stat().st_size
        with self._lock:
            self._knobs = record.knobs
            self._events += events
            self._log.append(row, end)
            self._remember(record)

    # --- rows ------------------------------------------------------------------------------------------------------

    def rows(self, since: int = 0, most: int | None = None) -> list[Row]:
        """Return the rows from number `since` on, at most `most`; a negative number counts from the end."""
        with self._lock:
            total, whole_from = len(self._log), self._log.whole_from
            first = max(0, total + since) if since < 0 else since
            end = total if most is None else min(total, first + most)
            whole = self._log.whole(first)[: max(0, end - max(first, whole_from))]
        return self._log.read(first, min(end, whole_from)) + whole

    def sent_rows(self, since: int) -> tuple[int, list[bytes]]:
        """Return rows as the JSON of a page, shared by all pages: from number `since` on, but only the newest ones;
        and the number of the first of them."""
        with self._lock:
            return max(since, self._log.whole_from), self._log.sent(since)

    def row(self, step: int) -> Row:
        """Return the row of a step; raise KeyError if the run has no such step."""
        with self._lock:
            try:
                number = self._log.number_of(step)
            except KeyError:
                raise KeyError(f"run {self.id} has no step {step}") from None
        return self.rows(number, 1)[0]

    @property
    def num_rows(self) -> int:
        with self._lock:
            return len(self._log)

    @property
    def first_step(self) -> int:
        with self._lock:
            return self._log.first_step

    @property
    def num_folded(self) -> int:
        """How many rows `history` is about: it changes with this number alone."""
        with self._lock:
            return self._log.history.num_rows

    def history(self, names: Collection[str] | None = None) -> dict[str, Any]:
        """Return the curves of the rows before the newest, as `CurveHistory.curves` has them."""
        with self._lock:
            return self._log.history.curves(names)

    def sampled_rows(self) -> list[Row]:
        """Return what is enough to draw curves: one row for many steps, as `CurveHistory.rows` has them, then the
        newest rows as they are."""
        with self._lock:
            return self._log.history.rows() + self._log.whole(0)

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
            return self._log.newest["step"] if self._log.newest else 0

    @property
    def memory(self) -> Mapping[str, int]:
        """What the newest step held, in bytes by part; empty before there is one."""
        with self._lock:
            return self._log.newest.get("memory", {}) if self._log.newest else {}

    # --- full records ----------------------------------------------------------------------------------------------

    def record(self, step: int) -> StepRecord:
        """Return the full record of `step`; raise KeyError if the run has no such step or no longer holds it."""
        with self._lock:
            if step in self._records:
                return self._records[step]
            try:
                self._log.number_of(step)
            except KeyError:
                raise KeyError(f"run {self.id} has no step {step}") from None
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


def open_run(folder: str | Path) -> RunStore:
    """Return the recorded run in `folder`, to look at its rows and records; raise ConfigError if it holds none."""
    path = Path(folder)
    return RunStore.open(RunFolder(path), title=path.name, source="replay")
