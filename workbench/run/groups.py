"""A step's groups as they are computed and recorded: columns of all its tokens, cut into groups when looked at.

Most steps of a run are never looked at, and a training step is too short to make thousands of objects for each.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np

from workbench.run.completion import CompletionRecord, GroupRecord, StepMark
from workbench.run.knobs import Knobs

Columns = Mapping[str, np.ndarray]


class Groups(Sequence[GroupRecord]):
    """`plain` has what is one value a group or a completion, as JSON has it; `columns` have what is one a token.

    Columns are named like the fields of a CompletionRecord. All completions of the step follow one another in them,
    N tokens: (N, …), or (U, N) where the name ends in `_by_update`. A completion's "length" is its share of them.
    """

    def __init__(
        self, plain: Sequence[dict[str, Any]], columns: Columns, knobs: Knobs, vocabulary: Mapping[int, str]
    ) -> None:
        for column in columns.values():
            column.flags.writeable = False  # and so are all slices of it
        self.plain, self.columns = plain, columns
        self._knobs, self._vocabulary = knobs, vocabulary
        self._made: dict[int, GroupRecord] = {}

    def __len__(self) -> int:
        return len(self.plain)

    @overload
    def __getitem__(self, index: int) -> GroupRecord: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[GroupRecord, ...]: ...
    def __getitem__(self, index: int | slice) -> GroupRecord | tuple[GroupRecord, ...]:
        places = range(len(self.plain))[index]
        return tuple(map(self._group, places)) if isinstance(places, range) else self._group(places)

    def __repr__(self) -> str:
        return repr(tuple(self))

    @property
    def num_tokens(self) -> int:
        return len(self.columns["token_ids"])

    def plain_completions(self) -> Iterator[dict[str, Any]]:
        """Yield what is one value a completion, of all groups."""
        return (completion for group in self.plain for completion in group["completions"])

    def with_columns(self, columns: Columns) -> "Groups":
        """Return the same groups with some columns replaced."""
        return Groups(self.plain, {**self.columns, **columns}, self._knobs, self._vocabulary)

    def _group(self, number: int) -> GroupRecord:
        """Return a group: the same one each time. Two threads that ask at once may both make it."""
        found = self._made.get(number)
        return found if found is not None else self._made.setdefault(number, self._make_group(number))

    def _make_group(self, number: int) -> GroupRecord:
        plain = dict(self.plain[number])
        start = sum(c["length"] for group in self.plain[:number] for c in group["completions"])
        completions = []
        for completion in plain.pop("completions"):
            end = start + completion["length"]
            completions.append(self._make_completion(completion, slice(start, end)))
            start = end
        return GroupRecord(completions=tuple(completions), budget=tuple(plain.pop("budget")), **plain)

    def _make_completion(self, plain: dict[str, Any], part: slice) -> CompletionRecord:
        values: dict[str, Any] = {"ref_logps": None} | plain
        for name, column in self.columns.items():
            values[name] = column[:, part] if name.endswith("_by_update") else column[part]
        del values["length"]
        values["steps"] = tuple(StepMark(**step) for step in plain["steps"])
        return CompletionRecord(vocabulary=self._vocabulary, knobs=self._knobs, **values)
