"""A step as a file and back: `steps/000042.npz`, one JSON text and the arrays of all its completions end to end.

The arrays are one member, `np.load(path)["tokens"]["entropy"]`: a member each would take twice as long to write.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import orjson

from workbench.run.knobs import Knobs
from workbench.run.record import CompletionRecord, GroupRecord, StepMark, StepRecord

SCHEMA = 2
_PER_TOKEN = (  # N tokens first
    "token_ids",
    "sampled_logps",
    "entropy",
    "old_logps",
    "token_advantages",
    "top_ids",
    "top_logps",
)
_PER_UPDATE = (  # U, N
    "logps_by_update",
    "clipped_by_update",
    "outside_by_update",
    "kept_by_update",
    "coefficients_by_update",
)
_OPTIONAL = {"ref_logps": 0, "values": 0, "exact_kl_by_update": 1}  # each with the axis of its tokens


def step_path(folder: Path, step: int) -> Path:
    return folder / "steps" / f"{step:06d}.npz"


def write_step(path: Path, record: StepRecord) -> None:
    """Write `record` to `path` in one move, so that a reader never sees half of it."""
    completions = [c for group in record.groups for c in group.completions]
    arrays: dict[str, np.ndarray] = {name: _join(completions, name, axis=0) for name in _PER_TOKEN}
    arrays |= {name: _join(completions, name, axis=1) for name in _PER_UPDATE}
    for name, axis in _OPTIONAL.items():
        if all(getattr(c, name) is not None for c in completions):
            arrays[name] = _join(completions, name, axis)
    text = np.frombuffer(orjson.dumps(_plain_step(record)), dtype=np.uint8)
    part = path.with_suffix(".part")
    _write_arrays(part, {"text": text, "tokens": _packed(arrays)})
    os.replace(part, path)


def read_step(path: Path) -> StepRecord:
    """Return the record that `write_step` wrote; raise ValueError if the file has another schema."""
    with np.load(path, allow_pickle=False) as file:
        members = {name: file[name] for name in file.files}
    plain = orjson.loads(members.pop("text").tobytes())
    arrays = _unpacked(members["tokens"]) if "tokens" in members else members  # older files: a member each
    for array in arrays.values():
        array.flags.writeable = False
    if plain["schema"] != SCHEMA:
        raise ValueError(f"{path} has schema {plain['schema']}; this version reads schema {SCHEMA}")
    knobs = Knobs(**plain["knobs"])
    vocabulary = {int(token): text for token, text in plain["vocabulary"].items()}
    rows = _split_rows(arrays, [c["length"] for group in plain["groups"] for c in group["completions"]])
    groups = tuple(_read_group(group, rows, knobs, vocabulary) for group in plain["groups"])
    kept = {
        name: plain[name] for name in ("step", "metrics", "reward_weights", "reward_max", "timings", "device", "memory")
    }
    kept |= {"fast_paths": tuple(plain.get("fast_paths", ())), "limits": plain.get("limits", {})}  # older files: none
    return StepRecord(knobs=knobs, updates=tuple(plain["updates"]), groups=groups, vocabulary=vocabulary, **kept)


def _packed(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return one record that has the arrays as its fields, the widest numbers first, so that all are aligned."""
    widest_first = sorted(arrays.items(), key=lambda item: -item[1].itemsize)
    packed = np.empty((), dtype=[(name, array.dtype, array.shape) for name, array in widest_first])
    for name, array in arrays.items():
        packed[name] = array
    return packed


def _unpacked(packed: np.ndarray) -> dict[str, np.ndarray]:
    return {name: packed[name] for name in packed.dtype.names or ()}


def _write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an .npz as `np.savez_compressed` does, with zlib's quickest level: half the time, a quarter larger."""
    with ZipFile(path, "w", ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def _join(completions: list[CompletionRecord], name: str, axis: int) -> np.ndarray:
    return np.concatenate([getattr(c, name) for c in completions], axis=axis)


def _plain_step(record: StepRecord) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "step": record.step,
        "knobs": asdict(record.knobs),
        "metrics": dict(record.metrics),
        "updates": [dict(update) for update in record.updates],
        "reward_weights": dict(record.reward_weights),
        "reward_max": record.reward_max,
        "timings": dict(record.timings),
        "device": record.device,
        "memory": dict(record.memory),
        "fast_paths": record.fast_paths,
        "limits": dict(record.limits),
        "vocabulary": {str(token): text for token, text in record.vocabulary.items()},
        "groups": [_plain_group(group) for group in record.groups],
    }


def _plain_group(group: GroupRecord) -> dict[str, Any]:
    names = ("prompt", "target", "mean", "std", "is_dead")
    plain = {name: getattr(group, name) for name in names}
    plain["budget"] = [dict(part) for part in group.budget]
    plain["completions"] = [_plain_completion(c) for c in group.completions]
    return plain


def _plain_completion(c: CompletionRecord) -> dict[str, Any]:
    names = ("text", "reward", "true_reward", "advantage", "answer", "is_correct", "is_truncated", "is_masked")
    plain = {name: getattr(c, name) for name in names}
    return plain | {
        "weight": c.weight,
        "steps": [asdict(step) for step in c.steps],
        "rewards": dict(c.rewards),
        "reasons": dict(c.reasons),
        "length": len(c.token_ids),
    }


def _split_rows(arrays: Mapping[str, np.ndarray], lengths: list[int]) -> Iterator[dict[str, Any]]:
    by_update = {*_PER_UPDATE, *(name for name, axis in _OPTIONAL.items() if axis == 1)}
    ends = np.cumsum(lengths)
    for end, length in zip(ends.tolist(), lengths, strict=True):
        part = slice(end - length, end)
        yield {name: a[:, part] if name in by_update else a[part] for name, a in arrays.items()}


def _read_group(
    plain: dict[str, Any], rows: Iterator[dict[str, Any]], knobs: Knobs, vocabulary: Mapping[int, str]
) -> GroupRecord:
    completions = tuple(_read_completion(c, next(rows), knobs, vocabulary) for c in plain.pop("completions"))
    budget = tuple(plain.pop("budget"))
    return GroupRecord(completions=completions, budget=budget, **plain)


def _read_completion(
    plain: dict[str, Any], row: dict[str, Any], knobs: Knobs, vocabulary: Mapping[int, str]
) -> CompletionRecord:
    del plain["length"]
    return CompletionRecord(
        vocabulary=vocabulary,
        knobs=knobs,
        steps=tuple(StepMark(**step) for step in plain.pop("steps")),
        **({"ref_logps": None} | row),
        **plain,
    )
