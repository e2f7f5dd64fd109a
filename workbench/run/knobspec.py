"""What is known about one knob besides its value: its range, its words, and what it accepts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from workbench.errors import KnobError
from workbench.run.plain import is_number, plain_value

NextPhase = Literal["update", "sampling"]
KnobGroup = Literal["sampling", "advantage", "loss", "selection", "kl", "update"]  # in the order of the data's path


@dataclass(frozen=True)
class Above:
    """A condition on a number: it is larger than `bound`."""

    bound: float


# Values of other knobs, all of which must be so.
Condition = Mapping[str, tuple[str, ...] | Above]


@dataclass(frozen=True, kw_only=True)
class KnobSpec:
    """Everything that is known about one knob besides its value.

    `low` and `high` bound what is accepted (inclusive); `slider` is the smaller range, and the step, that a slider
    offers; `start` is what an optional knob is set to when it is switched on there. `takes_effect` says which part of
    the next step is the first to use a new value. `used_when` holds the conditions under which the value is looked at
    at all: any one of them is enough, and none means always.
    """

    name: str = ""
    default: Any = None
    kind: Literal["float", "int", "choice", "bool"]
    group: KnobGroup
    symbol: str
    label: tuple[str, str]  # English, Chinese
    help: tuple[str, str]  # English, Chinese
    takes_effect: NextPhase
    low: float | None = None
    high: float | None = None
    slider: tuple[float, float, float] | None = None
    scale: Literal["linear", "log"] = "linear"
    choices: tuple[str, ...] | None = None
    optional: bool = False
    start: float | None = None
    used_when: tuple[Condition, ...] = ()

    def is_used(self, values: Mapping[str, Any]) -> bool:
        """Return whether the value of this knob is looked at while the knobs have `values`."""
        return not self.used_when or any(_holds(condition, values) for condition in self.used_when)

    def check(self, value: Any) -> Any:
        """Return `value` as this knob's type; raise KnobError, naming value and range, if it is not allowed."""
        value = plain_value(value)
        if value is None and self.optional:
            return None
        if self.kind == "bool":
            return self._check_bool(value)
        return self._check_choice(value) if self.kind == "choice" else self._check_number(value)

    def parse(self, text: str) -> Any:
        """Return the value that `text`, as written on a command line, stands for; raise KnobError as `check` does."""
        if self.optional and text.lower() in ("none", "null", ""):
            return None
        if self.kind == "choice":
            return self.check(text)
        if self.kind == "bool":
            return self.check({"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text))
        try:
            return self.check(float(text))
        except ValueError as error:
            raise KnobError(self._refusal(text)) from error

    def allowed(self) -> str:
        """Return what this knob accepts, in words."""
        if self.kind == "choice":
            words = f"one of {', '.join(self.choices or ())}"
        elif self.kind == "bool":
            words = "true or false"
        else:
            words = f"{'a whole number' if self.kind == 'int' else 'a number'} in [{self.low:g}, {self.high:g}]"
        return f"{words}, or none" if self.optional else words

    def _check_choice(self, value: Any) -> str:
        if not isinstance(value, str) or value not in (self.choices or ()):
            raise KnobError(self._refusal(value))
        return value

    def _check_bool(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise KnobError(self._refusal(value))
        return value

    def _check_number(self, value: Any) -> float | int:
        assert self.low is not None and self.high is not None, f"{self.name}: a number has a range"
        if not is_number(value) or not self.low <= value <= self.high:  # NaN is in no range
            raise KnobError(self._refusal(value))
        if self.kind == "float":
            return float(value)
        if value != int(value):
            raise KnobError(self._refusal(value))
        return int(value)

    def _refusal(self, value: Any) -> str:
        return f"{self.name}={value!r} is not allowed: it must be {self.allowed()}"


def _holds(condition: Condition, values: Mapping[str, Any]) -> bool:
    return all(
        values[name] > wanted.bound if isinstance(wanted, Above) else values[name] in wanted
        for name, wanted in condition.items()
    )


def knob(default: Any, **spec: Any) -> Any:
    """Return a dataclass field that is a knob: its default, and what `KnobSpec` says of it."""
    return field(default=default, metadata={"spec": spec})
