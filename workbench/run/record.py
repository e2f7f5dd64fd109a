"""What one step leaves behind: the contract between the engine, which writes it, and everything that looks."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from workbench.run.groups import Groups
from workbench.run.knobs import Knobs

Stage = Literal["load", "reward_model", "sample", "reward", "advantage", "score", "update", "record"]
STAGES: tuple[Stage, ...] = ("load", "reward_model", "sample", "reward", "score", "advantage", "update", "record")


@dataclass(frozen=True)
class Progress:
    """Where the engine is: `done` of `total` tokens, passes or updates of one stage of one step."""

    step: int
    stage: Stage
    done: int = 0
    total: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class StepRecord:
    """One step: the knobs it used, TRL's metrics, each inner update's numbers, and all its groups."""

    step: int
    knobs: Knobs
    metrics: Mapping[str, float | None]
    updates: tuple[Mapping[str, float | None], ...]  # μ
    groups: Groups
    reward_weights: Mapping[str, float]
    reward_max: float | None
    timings: Mapping[str, float]  # seconds by stage
    device: str  # where it was computed
    vocabulary: Mapping[int, str]  # visible text of every token id that occurs in this record
    memory: Mapping[str, int] = field(default_factory=dict)  # bytes by what holds them
    fast_paths: tuple[str, ...] = ()  # those of FAST_PATHS that were used
    limits: Mapping[str, float] = field(default_factory=dict)  # by stage, the least seconds the machine needs for it

    def __repr__(self) -> str:
        num_completions, reward = sum(1 for _ in self.groups.plain_completions()), self.metrics.get("reward")
        return (
            f"StepRecord(step={self.step}, reward={reward}, {len(self.groups)} groups, {num_completions} completions)"
        )

    def row(self) -> dict[str, Any]:
        """Return the scalars of this step as plain JSON values: one line of `metrics.jsonl`, one row of the curves."""
        parts = {name: self._part(name, weight) for name, weight in self.reward_weights.items() if weight}
        means = [group["mean"] for group in self.groups.plain if group["mean"] is not None]
        low, high = np.quantile(means, [0.1, 0.9]).tolist() if means else (None, None)
        return {
            "step": self.step,
            "metrics": dict(self.metrics),
            "tokens": self.groups.num_tokens,
            "updates": [dict(update) for update in self.updates],
            "reward_parts": parts,
            "reward_low": low,
            "reward_high": high,
            "groups": [{"mean": g["mean"], "std": g["std"], "dead": g["is_dead"]} for g in self.groups.plain],
            "timings": dict(self.timings),
            "device": self.device,
            "memory": dict(self.memory),
        }

    def _part(self, name: str, weight: float) -> float | None:
        """Return what one reward function adds to the mean reward; nothing where it does not apply."""
        scored = [c["rewards"][name] for c in self.groups.plain_completions() if c["reward"] is not None]
        given = [reward for reward in scored if reward is not None]
        return weight * math.fsum(given) / len(scored) if given else None


@dataclass(frozen=True)
class Finished:
    """A step is over. `record()` makes its record: once, now or while the next steps go on, on any thread."""

    step: int
    record: Callable[[], StepRecord]
