"""What each loss makes of a token, over the ratio and divided by |A|: the curve that the pictures of a loss draw.

The page has the same in `web/static/objectives.js`; the tests hold both equal to `workbench.grpo`.
"""

from dataclasses import dataclass
from math import inf, log
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workbench.run.knobs import Knobs

# PPO's clip; CISPO's capped weight; SAPO's gate; VESPO's weight of a completion; the plain policy gradient
Form = Literal["clip", "cap", "gate", "phi", "plain"]
_FORMS: dict[str, Form] = {"cispo": "cap", "sapo": "gate", "vespo": "phi", "online": "plain"}
WEIGHTS: tuple[Form, ...] = ("cap", "phi", "plain")  # the picture is of the gradient's weight, not of an objective
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Bounds:
    """The trust band and the cap of the ratio (infinite when δ is off)."""

    low: float
    high: float
    cap: float

    @classmethod
    def of(cls, knobs: Knobs) -> "Bounds":
        high = knobs.epsilon if knobs.epsilon_high is None else knobs.epsilon_high
        return cls(1 - knobs.epsilon, 1 + high, inf if knobs.delta is None else knobs.delta)


def objective(ratio: Values, sign: int, bounds: Bounds) -> Values:
    """Return the clipped surrogate divided by |A|: `workbench.grpo.clipped_surrogate` at A = `sign`.

    >>> objective(np.array([0.5, 1.0, 1.5]), -1, Bounds(0.8, 1.2, inf)).tolist()
    [-0.8, -1.0, -1.5]
    """
    return np.minimum(np.minimum(ratio, bounds.cap) * sign, np.clip(ratio, bounds.low, bounds.high) * sign)


def flat_ranges(sign: int, bounds: Bounds) -> list[tuple[float, float]]:
    """Return the ranges of the ratio in which the clip makes the objective flat, so that a token has no gradient.

    >>> flat_ranges(1, Bounds(0.8, 1.2, inf)), flat_ranges(-1, Bounds(0.8, 1.2, 2.0))
    ([(1.2, inf)], [(0.0, 0.8), (2.0, inf)])
    """
    if sign > 0:
        return [(min(bounds.high, bounds.cap), inf)]
    capped = [] if bounds.cap == inf else [(max(bounds.high, bounds.cap), inf)]
    return [(0.0, bounds.low), *capped]


@dataclass(frozen=True)
class Curve:
    """The curve of one setting of the knobs: the objective (clip, gate) or the weight of the gradient (the others)."""

    knobs: Knobs

    @property
    def form(self) -> Form:
        return _FORMS.get(self.knobs.loss_type, "clip")

    @property
    def is_by_completion(self) -> bool:
        """Whether a completion has one ratio, and so one mark."""
        return self.form == "phi" or self.knobs.importance_sampling_level == "sequence"

    @property
    def bounds(self) -> Bounds:
        return Bounds.of(self.knobs)

    @property
    def cap(self) -> float | None:
        """CISPO's cap on the weight; None for the others."""
        if self.form != "cap":
            return None
        return self.knobs.epsilon if self.knobs.epsilon_high is None else self.knobs.epsilon_high

    def value(self, ratio: Values, sign: int) -> Values:
        """Return what is drawn at `ratio`.

        >>> Curve(Knobs(loss_type="sapo")).value(np.array([1.0]), 1).tolist()
        [2.0]
        """
        if self.form == "clip":
            return objective(ratio, sign, self.bounds)
        if self.form == "gate":
            temperature = self._temperature(sign)
            return sign * 4 / temperature * _sigmoid(temperature * (ratio - 1))
        return self.gain(ratio, sign)

    def gain(self, ratio: Values, sign: int) -> Values:
        """Return the weight g of the gradient: the surrogate pushes a token with w·g·A.

        >>> Curve(Knobs(loss_type="cispo", epsilon_high=5.0)).gain(np.array([0.5, 7.0]), 1).tolist()
        [0.5, 5.0]
        """
        if self.form == "clip":
            is_flat = [(ratio > low) & (ratio < high) for low, high in self.flat_ranges(sign)]
            return np.where(np.any(is_flat, axis=0), 0.0, ratio)
        if self.form == "cap":
            return np.minimum(ratio, self.cap or 0.0)
        if self.form == "gate":
            scaled = self._temperature(sign) * (ratio - 1)
            return 4 * ratio * _sigmoid(scaled) * _sigmoid(-scaled)
        if self.form == "phi":
            return self._phi(ratio, sign)
        return np.ones_like(ratio)

    def flat_ranges(self, sign: int) -> list[tuple[float, float]]:
        """Return where the gradient is zero: for the clip alone."""
        return flat_ranges(sign, self.bounds) if self.form == "clip" else []

    def kinks(self, reach: float) -> list[float]:
        """Return the log-ratios inside ±`reach` at which the curve bends."""
        bounds = self.bounds
        named = {"clip": (bounds.low, bounds.high, bounds.cap), "cap": (self.cap,)}.get(self.form, ())
        return [log(r) for r in named if r is not None and 0 < r < inf and abs(log(r)) < reach]

    def _temperature(self, sign: int) -> float:
        return self.knobs.sapo_temperature_pos if sign > 0 else self.knobs.sapo_temperature_neg

    def _phi(self, ratio: Values, sign: int) -> Values:
        """Return VESPO's weight of a completion with sequence ratio s: s^k · e^(λ(1 − s))."""
        knobs = self.knobs
        k, decay = (
            (knobs.vespo_k_pos, knobs.vespo_lambda_pos) if sign > 0 else (knobs.vespo_k_neg, knobs.vespo_lambda_neg)
        )
        decay = max(decay, 1e-4)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            return np.nan_to_num(np.exp(decay + k * np.log(ratio) - decay * ratio), nan=0.0, posinf=0.0)


def _sigmoid(x: Values) -> Values:
    return np.exp(-np.logaddexp(0.0, -x))


def sequence_log_ratio(log_ratio: NDArray[np.float64]) -> float:
    """Return the log-ratio of a whole completion as VESPO takes it: the sum, held within bounds.

    >>> sequence_log_ratio(np.array([0.5, -0.25]))
    0.25
    """
    return float(np.clip(np.clip(log_ratio, -20.0, 20.0).sum(), log(1e-8), 20.0))
