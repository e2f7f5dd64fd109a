"""Made-up step records for the tests of everything that keeps or shows them, and what it means for two to be equal."""

from dataclasses import fields
from typing import Any

import numpy as np

from workbench.run.knobs import Knobs
from workbench.run.record import CompletionRecord, GroupRecord, StepRecord

VOCABULARY = {0: "<pad>", 1: "<eos>", 2: "a", 3: "β", 4: "<0xE4>", 5: " "}


def make_completion(
    rng: np.random.Generator,
    length: int,
    knobs: Knobs | None = None,
    *,
    text: str = "a",
    reward: float | None = 1.0,
    has_reference: bool = True,
) -> CompletionRecord:
    knobs = knobs or Knobs()
    num_updates = knobs.num_iterations

    def logps(*shape: int) -> np.ndarray:
        return -rng.exponential(size=shape).astype(np.float32)

    token_ids = rng.integers(0, 6, length).astype(np.int32)
    top_ids = rng.integers(0, 6, (length, 3)).astype(np.int32)
    by_update = logps(num_updates, length)
    return CompletionRecord(
        text=text,
        token_ids=token_ids,
        rewards={"answer": reward, "格式": None},
        reasons={"answer": "3 = 3", "格式": "不适用"},
        reward=reward,
        advantage=float(rng.normal()),
        token_advantages=rng.normal(size=length).astype(np.float32),
        answer=None,
        is_correct=None if reward is None else reward == 1.0,
        is_truncated=bool(rng.integers(2)),
        is_masked=bool(rng.integers(2)),
        sampled_logps=logps(length),
        entropy=-logps(length),
        old_logps=by_update[0].copy(),
        ref_logps=logps(length) if has_reference else None,
        logps_by_update=by_update,
        clipped_by_update=rng.integers(0, 2, (num_updates, length)).astype(bool),
        outside_by_update=rng.integers(0, 2, (num_updates, length)).astype(bool),
        kept_by_update=rng.integers(0, 2, (num_updates, length)).astype(bool),
        coefficients_by_update=rng.normal(size=(num_updates, length)).astype(np.float32),
        weight=0.125,
        top_ids=top_ids,
        top_logps=logps(length, 3),
        vocabulary=VOCABULARY,
        knobs=knobs,
    )


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

    def completion(number: int, length: int) -> CompletionRecord:
        reward = None if number % 3 == 2 else float(number % 2)
        text = texts[number % len(texts)]
        return make_completion(rng, length, knobs, text=text, reward=reward, has_reference=has_reference)

    groups = tuple(
        GroupRecord(
            prompt=f"{texts[0]}{g}",
            target=None if g % 2 else "42",
            completions=tuple(completion(i, length) for i, length in enumerate(row)),
            mean=None if g % 2 else 0.5,
            std=None if g % 2 else 0.25,
            is_dead=bool(g % 2),
            budget=tuple(
                {"up": 0.5, "down": 0.25, "kl": 0.0, "lost": 0.1, "loss": -0.5} for _ in range(knobs.num_iterations)
            ),
        )
        for g, row in enumerate(lengths)
    )
    return StepRecord(
        step=step,
        knobs=knobs,
        metrics={"reward": 0.5, "kl": 0.01 if has_reference else None, "num_tokens": 100 * step},
        updates=tuple({"loss": 0.1 * k, "kl": None} for k in range(knobs.num_iterations)),
        groups=groups,
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
    if isinstance(left, tuple):
        return isinstance(right, tuple) and len(left) == len(right) and all(map(is_same, left, right))
    return left == right
