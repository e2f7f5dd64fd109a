"""Made-up step records for the tests of everything that keeps or shows them, and what it means for two to be equal."""

from dataclasses import fields
from typing import Any

import numpy as np

from workbench.run.completion import CompletionRecord, GroupRecord
from workbench.run.groups import Groups
from workbench.run.knobs import Knobs
from workbench.run.record import StepRecord

VOCABULARY = {0: "<pad>", 1: "<eos>", 2: "a", 3: "β", 4: "<0xE4>", 5: " "}


def make_columns(
    rng: np.random.Generator, length: int, num_updates: int, *, has_reference: bool = True
) -> dict[str, np.ndarray]:
    """Return made-up numbers for each of `length` tokens."""

    def logps(*shape: int) -> np.ndarray:
        return -rng.exponential(size=shape).astype(np.float32)

    by_update = (num_updates, length)
    by_pass = logps(*by_update)
    columns = {
        "token_ids": rng.integers(0, 6, length).astype(np.int32),
        "token_advantages": rng.normal(size=length).astype(np.float32),
        "sampled_logps": logps(length),
        "entropy": -logps(length),
        "old_logps": by_pass[0].copy(),
        "top_ids": rng.integers(0, 6, (length, 3)).astype(np.int32),
        "top_logps": logps(length, 3),
        "logps_by_update": by_pass,
        "clipped_by_update": rng.integers(0, 2, by_update).astype(bool),
        "outside_by_update": rng.integers(0, 2, by_update).astype(bool),
        "kept_by_update": rng.integers(0, 2, by_update).astype(bool),
        "coefficients_by_update": rng.normal(size=by_update).astype(np.float32),
    }
    return columns | ({"ref_logps": logps(length)} if has_reference else {})


def plain_completion(rng: np.random.Generator, length: int, text: str, reward: float | None) -> dict[str, Any]:
    return {
        "text": text,
        "length": length,
        "rewards": {"answer": reward, "格式": None},
        "reasons": {"answer": "3 = 3", "格式": "不适用"},
        "reward": reward,
        "true_reward": None,
        "advantage": float(rng.normal()),
        "answer": None,
        "is_correct": None if reward is None else reward == 1.0,
        "is_truncated": bool(rng.integers(2)),
        "is_masked": bool(rng.integers(2)),
        "weight": 0.125,
        "steps": [],
    }


def plain_group(number: int, num_updates: int, *completions: dict[str, Any], prompt: str = "a") -> dict[str, Any]:
    is_odd = bool(number % 2)
    return {
        "prompt": f"{prompt}{number}",
        "target": None if is_odd else "42",
        "mean": None if is_odd else 0.5,
        "std": None if is_odd else 0.25,
        "is_dead": is_odd,
        "budget": [{"up": 0.5, "down": 0.25, "kl": 0.0, "lost": 0.1, "loss": -0.5} for _ in range(num_updates)],
        "completions": list(completions),
    }


def make_completion(
    rng: np.random.Generator, length: int, knobs: Knobs | None = None, *, has_reference: bool = True
) -> CompletionRecord:
    knobs = knobs or Knobs()
    group = plain_group(0, knobs.num_iterations, plain_completion(rng, length, "a", 1.0))
    columns = make_columns(rng, length, knobs.num_iterations, has_reference=has_reference)
    return Groups([group], columns, knobs, VOCABULARY)[0].completions[0]


def make_record(
    step: int = 1,
    knobs: Knobs | None = None,
    *,
    lengths: tuple[tuple[int, ...], ...] = ((3, 2), (0, 1)),
    texts: tuple[str, ...] = ("a",),
    has_reference: bool = True,
    seed: int = 0,
) -> StepRecord:
    """Return a record with one group for each tuple of completion lengths."""
    knobs = knobs or Knobs()
    rng = np.random.default_rng(seed + step)
    columns = make_columns(rng, sum(map(sum, lengths)), knobs.num_iterations, has_reference=has_reference)

    def completion(number: int, length: int) -> dict[str, Any]:
        reward = None if number % 3 == 2 else float(number % 2)
        return plain_completion(rng, length, texts[number % len(texts)], reward)

    plain = [
        plain_group(g, knobs.num_iterations, *(completion(i, n) for i, n in enumerate(row)), prompt=texts[0])
        for g, row in enumerate(lengths)
    ]
    return StepRecord(
        step=step,
        knobs=knobs,
        metrics={"reward": 0.5, "kl": 0.01 if has_reference else None, "num_tokens": 100 * step},
        updates=tuple({"loss": 0.1 * k, "kl": None} for k in range(knobs.num_iterations)),
        groups=Groups(plain, columns, knobs, VOCABULARY),
        reward_weights={"answer": 1.0, "格式": 0.2},
        reward_max=1.2,
        timings={"sample": 0.1, "update": 0.2},
        vocabulary=VOCABULARY,
        memory={"policy": 1000, "adapter": 10},
        device="cpu",
    )


def is_same(left: Any, right: Any) -> bool:
    """Return whether two records hold the same, bit for bit and dtype for dtype."""
    if isinstance(left, np.ndarray):
        return isinstance(right, np.ndarray) and left.dtype == right.dtype and np.array_equal(left, right)
    if isinstance(left, (StepRecord, GroupRecord, CompletionRecord)):
        return all(is_same(getattr(left, f.name), getattr(right, f.name)) for f in fields(left))
    if isinstance(left, tuple | Groups):
        return isinstance(right, type(left)) and len(left) == len(right) and all(map(is_same, left, right))
    return left == right
