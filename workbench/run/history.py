"""The scalars of a long run in bounded memory: of what lies between two points of a curve, extremes and mean are kept.

Rows are folded, a block at a time, into buckets of equally many rows. When there are too many buckets, neighbours
become one. Every extreme keeps its own step: a spike or a dead step of a run of any length is drawn where it was.
"""

from collections.abc import Collection, Mapping, Sequence
from math import inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Row = Mapping[str, Any]
PART = "reward_parts/"
BLOCK = 64  # rows that are folded in at once; a power of two, as the width of a bucket is
MOST_BUCKETS = 6 * BLOCK  # about as many as a curve has pixels; half of them are in use once there were so many rows
_FIELDS = ("reward_low", "reward_high", "tokens")


class _Buckets(NamedTuple):
    """Arrays (names, buckets). `low`, `high` are NaN and `count` is 0 where nothing was measured."""

    low: NDArray[np.float64]
    low_at: NDArray[np.float64]
    high: NDArray[np.float64]
    high_at: NDArray[np.float64]
    total: NDArray[np.float64]
    count: NDArray[np.float64]


class CurveHistory:
    """Append blocks of rows in the order of their steps; ask for the curves of some names, or for one row a bucket."""

    def __init__(self) -> None:
        self.num_rows = 0
        self._width = 1
        self._names: dict[str, int] = {}
        self._first: dict[str, float] = {}
        self._spans = np.zeros((2, MOST_BUCKETS))  # first and last step of each bucket
        self._buckets = _empty(0, MOST_BUCKETS)

    def append(self, rows: Sequence[Row]) -> None:
        """Fold `BLOCK` rows in."""
        assert len(rows) == BLOCK
        values = [scalars(row) for row in rows]
        if self.num_rows == 0:
            self._first = values[0]
        if self.num_rows == MOST_BUCKETS * self._width:
            self._halve()
        self._widen(values)
        new = _points([row["step"] for row in rows], values, self._names)
        spans = np.array([[row["step"] for row in rows]] * 2)
        for _ in range(min(self._width, BLOCK).bit_length() - 1):
            new, spans = _paired(new), np.stack([spans[0, ::2], spans[1, 1::2]])
        at = self.num_rows // self._width
        is_within_bucket = self.num_rows % self._width > 0
        if is_within_bucket:
            new = _merged(_Buckets(*(array[:, at : at + 1] for array in self._buckets)), new)
            spans[0] = self._spans[0, at]
        end = at + spans.shape[1]
        self._spans[:, at:end] = spans
        for held, array in zip(self._buckets, new, strict=True):
            held[:, at:end] = array
        self.num_rows += BLOCK

    def curves(self, names: Collection[str] | None = None) -> dict[str, Any]:
        """Return the buckets' `steps` (first, last) and `curves`: by name the lists `low`, `low_at`, `high`, `high_at`
        and `mean`, with None where a bucket measured nothing, and the value `first` of the first row."""
        used = self._num_buckets()
        return {
            "end": self.num_rows,
            "width": self._width,
            "steps": self._spans[:, :used].astype(int).tolist(),
            "curves": {
                name: self._curve(index, used) | {"first": self._first.get(name)}
                for name, index in self._names.items()
                if names is None or name in names
            },
        }

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each bucket: means, at its last step; under `extremes` (step, low), (step, high) by name."""
        used = self._num_buckets()
        columns = {name: self._curve(index, used) for name, index in self._names.items()}
        return [self._row(i, columns) for i in range(used)]

    def _row(self, i: int, columns: Mapping[str, Mapping[str, list[Any]]]) -> dict[str, Any]:
        means = {name: column["mean"][i] for name, column in columns.items()}
        return {
            "step": int(self._spans[1, i]),
            "metrics": {name: v for name, v in means.items() if name not in _FIELDS and not name.startswith(PART)},
            "reward_parts": {name.removeprefix(PART): v for name, v in means.items() if name.startswith(PART)},
            **{name: means.get(name) for name in _FIELDS},
            "extremes": {
                name: ((c["low_at"][i], c["low"][i]), (c["high_at"][i], c["high"][i])) for name, c in columns.items()
            },
        }

    def _curve(self, index: int, used: int) -> dict[str, list[Any]]:
        of = _Buckets(*(array[index, :used] for array in self._buckets))
        is_known = of.count > 0
        mean = np.divide(of.total, of.count, out=np.zeros(used), where=is_known)
        values = {"low": of.low, "high": of.high, "mean": mean, "low_at": of.low_at, "high_at": of.high_at}
        return {
            name: [value if known else None for value, known in zip(array.tolist(), is_known.tolist(), strict=True)]
            for name, array in values.items()
        }

    def _num_buckets(self) -> int:
        return -(-self.num_rows // self._width)

    def _halve(self) -> None:
        pairs, half = _paired(self._buckets), MOST_BUCKETS // 2
        for held, array in zip(self._buckets, pairs, strict=True):
            held[:, :half] = array
        self._spans[:, :half] = self._spans[0, ::2], self._spans[1, 1::2]
        self._width *= 2

    def _widen(self, values: Sequence[Mapping[str, float]]) -> None:
        """Make room for names that were not there before."""
        new = list(dict.fromkeys(name for each in values for name in each if name not in self._names))
        self._names |= {name: len(self._names) + i for i, name in enumerate(new)}
        more = _empty(len(new), MOST_BUCKETS)
        self._buckets = _Buckets(*(np.concatenate(pair) for pair in zip(self._buckets, more, strict=True)))


def scalars(row: Row) -> dict[str, float]:
    """Return the finite numbers of a row by name: its metrics, its reward's parts with a prefix, some of its fields."""
    values = {**row["metrics"], **{PART + name: value for name, value in row.get("reward_parts", {}).items()}}
    values |= {name: row.get(name) for name in _FIELDS}
    return {name: value for name, value in values.items() if value is not None and -inf < value < inf}


def _points(steps: Sequence[int], values: Sequence[Mapping[str, float]], names: Collection[str]) -> _Buckets:
    """Return a bucket for each row alone."""
    value = np.array([[each.get(name, np.nan) for name in names] for each in values]).T.reshape(len(names), len(steps))
    at = np.broadcast_to(np.array(steps, float), value.shape)
    return _Buckets(value, at, value, at, np.nan_to_num(value), (~np.isnan(value)).astype(float))


def _empty(num_names: int, num_buckets: int) -> _Buckets:
    nothing = [np.full((num_names, num_buckets), np.nan) for _ in range(4)]
    return _Buckets(*nothing, *(np.zeros((num_names, num_buckets)) for _ in range(2)))


def _paired(buckets: _Buckets) -> _Buckets:
    """Return half as many buckets: each of them is what two neighbours are together."""
    even, odd = (_Buckets(*(array[:, side::2] for array in buckets)) for side in (0, 1))
    return _merged(even, odd)


def _merged(a: _Buckets, b: _Buckets) -> _Buckets:
    """Return the buckets of `a` with those of `b` after them added; of equal extremes the earlier one stays."""
    lower, higher = (b.low < a.low) | np.isnan(a.low), (b.high > a.high) | np.isnan(a.high)
    return _Buckets(
        np.where(lower, b.low, a.low),
        np.where(lower, b.low_at, a.low_at),
        np.where(higher, b.high, a.high),
        np.where(higher, b.high_at, a.high_at),
        a.total + b.total,
        a.count + b.count,
    )
