"""The rows of a run, however long it is: the newest whole in memory, all others on disk and folded into curves."""

from array import array
from bisect import bisect_left
from collections import deque
from pathlib import Path
from typing import Any

import orjson

from workbench.run.history import BLOCK, CurveHistory

Row = dict[str, Any]
WHOLE_ROWS = BLOCK  # at least so many of the newest rows are kept whole


class RowLog:
    """Rows in the order of their steps. Those that are not among the newest are read back from `path`, a line each;
    without a path their JSON stays in memory. Guarded by whoever owns it, but for `read`, which may run outside.
    """

    def __init__(self, path: Path | None) -> None:
        self.history = CurveHistory()  # of the rows that are no longer kept whole
        self._path = path
        self._steps = array("q")
        self._ends = array("q")  # where the line of each row ends in the file
        self._old: list[bytes] = []  # without a file: the rows that are no longer kept whole
        self._newest: deque[Row] = deque()
        self._sent: deque[bytes | None] = deque()  # what a page gets of the newest rows, made when first asked for

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def first_step(self) -> int:
        return self._steps[0] if self._steps else 1

    @property
    def newest(self) -> Row | None:
        return self._newest[-1] if self._newest else None

    @property
    def whole_from(self) -> int:
        """The number of the oldest row that is kept whole."""
        return len(self._steps) - len(self._newest)

    def append(self, row: Row, end: int = 0) -> None:
        """Add a row whose line in the file, if there is one, ends at byte `end`."""
        self._steps.append(row["step"])
        self._ends.append(end)
        self._newest.append(row)
        self._sent.append(None)
        if len(self._newest) == WHOLE_ROWS + BLOCK:
            self._fold([self._newest.popleft() for _ in range(BLOCK)])

    def _fold(self, rows: list[Row]) -> None:
        self.history.append(rows)
        self._sent = deque(list(self._sent)[len(rows) :])
        if self._path is None:
            self._old += map(orjson.dumps, rows)

    def whole(self, since: int) -> list[Row]:
        """Return the rows from number `since` on, of those that are kept whole."""
        return list(self._newest)[max(0, since - self.whole_from) :]

    def sent(self, since: int) -> list[bytes]:
        """Return the same rows as the JSON that pages get, made once for all pages."""
        first = max(0, since - self.whole_from)
        for i in range(first, len(self._sent)):
            self._sent[i] = self._sent[i] or orjson.dumps(shown(self._newest[i]))
        return [each for each in list(self._sent)[first:] if each is not None]

    def number_of(self, step: int) -> int:
        """Return the number of the row of a step; raise KeyError if there is none."""
        number = bisect_left(self._steps, step)
        if number == len(self._steps) or self._steps[number] != step:
            raise KeyError(step)
        return number

    def read(self, first: int, end: int) -> list[Row]:
        """Return rows `first` to `end`, not included, that are no longer kept whole."""
        if first >= end:
            return []
        if self._path is None:
            return [orjson.loads(line) for line in self._old[first:end]]
        start = self._ends[first - 1] if first else 0
        with self._path.open("rb") as file:
            file.seek(start)
            lines = file.read(self._ends[end - 1] - start)
        return [orjson.loads(line) for line in lines.splitlines()]


def shown(row: Row) -> Row:
    """Return a row as a page gets it: without the memory, which hardly changes and has a figure of its own."""
    return {name: value for name, value in row.items() if name != "memory"}
