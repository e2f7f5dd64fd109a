"""The knobs: what a person may turn while a run goes on, each with its range, symbol and help beside it.

The slider on the page, the `--set` flag and the README's table are made from the fields in `knobtable`.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from threading import Lock
from typing import Any

from workbench.errors import KnobError
from workbench.run.knobrules import check_knobs
from workbench.run.knobspec import KnobGroup, KnobSpec
from workbench.run.knobtable.advantage import AdvantageKnobs
from workbench.run.knobtable.clip import ClipKnobs
from workbench.run.knobtable.kl import KLKnobs
from workbench.run.knobtable.sampling import SamplingKnobs
from workbench.run.knobtable.selection import SelectionKnobs
from workbench.run.knobtable.soft import SoftLossKnobs
from workbench.run.knobtable.update import UpdateKnobs


@dataclass(frozen=True, kw_only=True)
class Knobs(UpdateKnobs, KLKnobs, SelectionKnobs, SoftLossKnobs, ClipKnobs, AdvantageKnobs, SamplingKnobs):
    """One consistent setting of all knobs. A step takes one at its start and uses no other. Names are TRL's.

    Raises KnobError, in one sentence, when a value is not allowed or two values cannot go together.
    """

    def __post_init__(self) -> None:
        for spec in knob_specs().values():
            object.__setattr__(self, spec.name, spec.check(getattr(self, spec.name)))
        check_knobs(self)

    def changed(self, changes: Mapping[str, Any]) -> "Knobs":
        """Return these knobs with `changes` merged in; raise KnobError for an unknown name or a value out of range."""
        for name in changes:
            knob_spec(name)
        return replace(self, **changes)


def knob_specs() -> dict[str, KnobSpec]:
    """Return every knob's specification by name, in the order of the fields."""
    return _SPECS


def knob_spec(name: str) -> KnobSpec:
    """Return one knob's specification; raise KnobError, listing the names, if there is none."""
    if name not in _SPECS:
        raise KnobError(f"unknown knob {name!r}: the knobs are {', '.join(_SPECS)}")
    return _SPECS[name]


def knob_differences(old: Knobs, new: Knobs) -> dict[str, tuple[Any, Any]]:
    """Return `{name: (old value, new value)}` for the knobs that differ."""
    before, after = asdict(old), asdict(new)
    return {name: (before[name], after[name]) for name in before if before[name] != after[name]}


class KnobBoard:
    """Where any thread proposes knob changes and the engine takes one consistent setting at the start of a step.

    `check` may refuse knobs that do not suit the run; it raises KnobError.
    """

    def __init__(self, knobs: Knobs, check: Callable[[Knobs], None] = lambda knobs: None) -> None:
        check(knobs)
        self._check = check
        self._lock = Lock()  # guards _proposed and _taken: read-modify-write from many web threads and the engine
        self._proposed = knobs
        self._taken = knobs

    def propose(self, **changes: Any) -> Knobs:
        """Merge `changes` into what the next step will take, all or nothing; return the merged knobs."""
        with self._lock:
            proposed = self._proposed.changed(changes)
            self._check(proposed)
            self._proposed = proposed
            return proposed

    def take(self) -> Knobs:
        """Return the knobs for a step that starts now. The engine calls this once a step."""
        with self._lock:
            self._taken = self._proposed
            return self._taken

    def read(self) -> tuple[Knobs, Knobs]:
        """Return the knobs in use and those that the next step will take."""
        with self._lock:
            return self._taken, self._proposed


_GROUPS: Mapping[KnobGroup, tuple[type, ...]] = {
    "sampling": (SamplingKnobs,),
    "advantage": (AdvantageKnobs,),
    "loss": (ClipKnobs, SoftLossKnobs),
    "selection": (SelectionKnobs,),
    "kl": (KLKnobs,),
    "update": (UpdateKnobs,),
}


def _read_specs() -> dict[str, KnobSpec]:
    groups: dict[str, KnobGroup] = {
        f.name: group for group, tables in _GROUPS.items() for table in tables for f in fields(table)
    }
    return {
        f.name: KnobSpec(
            name=f.name,
            default=None if f.default is MISSING else f.default,
            group=groups[f.name],
            **f.metadata["spec"],
        )
        for f in fields(Knobs)
    }


_SPECS = _read_specs()
