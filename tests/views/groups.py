"""Made-up groups for the tests of the pictures: log-probabilities chosen so that the ratios are known."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tests.run.records import VOCABULARY, make_completion
from workbench.run.completion import CompletionRecord, GroupRecord
from workbench.run.knobs import Knobs
from workbench.views.objectives import Bounds, Curve


def completion(
    ratios: list[list[float]], advantage: float, knobs: Knobs, tokens: Sequence[str] = "abcdefgh", **changes
) -> CompletionRecord:
    """Return a completion whose inner update k has `ratios[k]`; clipped and outside are as the formulas say.

    Its tokens have the advantage of the completion, and no mask takes any of them out, unless `changes` say so.
    """
    made = make_completion(np.random.default_rng(0), len(ratios[0]), knobs)
    rows, bounds = np.array(ratios, dtype=np.float64), Bounds.of(knobs)
    is_clip, cap = Curve(knobs).form == "clip", Curve(knobs).cap
    dead = (rows > bounds.high if advantage > 0 else (rows < bounds.low) & (advantage < 0)) & is_clip
    outside = (rows < bounds.low) | (rows > bounds.high) if is_clip else rows > (np.inf if cap is None else cap)
    old = made.old_logps
    with np.errstate(divide="ignore"):
        logps = (old + np.log(rows)).astype(np.float32)
    texts = dict(enumerate(tokens, start=len(VOCABULARY)))
    values = {
        "advantage": advantage,
        "logps_by_update": logps,
        "clipped_by_update": dead,
        "outside_by_update": outside,
        "token_advantages": np.full(len(ratios[0]), advantage, dtype=np.float32),
        "kept_by_update": np.ones_like(dead),
        "is_truncated": False,
        "is_masked": False,
        "token_ids": np.array(list(texts), dtype=np.int32)[: len(ratios[0])],
        "vocabulary": VOCABULARY | texts,
    }
    return replace(made, **values | changes)


def group(*completions: CompletionRecord, **changes) -> GroupRecord:
    values = {"prompt": "1+1=?", "target": "2", "mean": 0.5, "std": 0.5, "is_dead": False, "budget": ({}, {})}
    return GroupRecord(completions=completions, **values | changes)


def two_sided_group(**knobs) -> GroupRecord:
    """Return a group with, at its second update, each kind of token at either sign."""
    used = Knobs(num_iterations=2, **knobs)
    ones = [1.0] * 4
    return group(
        completion([ones, [0.7, 1.0, 1.1, 1.5]], 1.0, used), completion([ones, [0.7, 1.0, 0.9, 1.5]], -0.5, used)
    )
