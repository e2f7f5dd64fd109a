"""One group of one step as the JSON that the page draws: immutable, fetched when somebody looks at it."""

import codecs
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.run.completion import CompletionRecord, GroupRecord
from workbench.run.record import StepRecord

_BYTES = re.compile(r"<0x([0-9A-F]{2})>")


def page_group(
    run: str, record: StepRecord, index: int, method: str = "grpo", bug: str | None = None
) -> dict[str, Any]:
    """Return group `index` of a step with everything about its tokens; raise IndexError if there is no such group.

    What a completion has not is left out: `advantages` where all its tokens have the same, `masked` and `kept` where
    no mask took anything out, `exact_kl`, `values`, `steps` and `true_reward` where there are none.
    """
    if not 0 <= index < len(record.groups):
        raise IndexError(f"step {record.step} has groups 0 to {len(record.groups) - 1}, not {index}")
    group = record.groups[index]
    return {
        "run": run,
        "step": record.step,
        "group": index,
        "method": method,
        "bug": bug,
        "num_groups": len(record.groups),
        "knobs": asdict(record.knobs),
        "groups": [_summary(each) for each in record.groups],
        "prompt": group.prompt,
        "target": group.target,
        "reward_names": list(record.reward_weights),
        "reward_weights": list(record.reward_weights.values()),
        "reward_max": record.reward_max,
        **_true_rewards(record),
        **_summary(group),
        "completions": [_completion(completion) for completion in group.completions],
        "budget": [dict(part) for part in group.budget],
    }


def _true_rewards(record: StepRecord) -> dict[str, Any]:
    """Return the highest true reward of the step, the end of its bars' scale, where another one is trained on."""
    values = [c.true_reward for group in record.groups for c in group.completions if c.true_reward is not None]
    return {"true_reward_max": max(values)} if values else {}


def _summary(group: GroupRecord) -> dict[str, Any]:
    return {"mean": group.mean, "std": group.std, "dead": group.is_dead}


def _completion(c: CompletionRecord) -> dict[str, Any]:
    tokens, spans = visible_spans(c.tokens)
    return {
        "text": c.text,
        "answer": c.answer,
        "correct": c.is_correct,
        "truncated": c.is_truncated,
        "rewards": dict(c.rewards),
        "reasons": dict(c.reasons),
        "reward": c.reward,
        "advantage": c.advantage,
        "length": len(c.token_ids),
        "ids": c.token_ids.tolist(),
        "tokens": tokens,
        "spans": spans,
        "sampled": _numbers(c.sampled_logps),
        "old": _numbers(c.old_logps),
        "ref": None if c.ref_logps is None else _numbers(c.ref_logps),
        "logps": [_numbers(logps) for logps in c.logps_by_update],
        "clipped": [_flags(flags) for flags in c.clipped_by_update],
        "outside": [_flags(flags) for flags in c.outside_by_update],
        "entropy": _numbers(c.entropy),
        "weight": c.weight,
        "top": [
            list(map(list, zip(texts, chances, strict=True)))
            for texts, chances in zip(c.top_tokens, _chances(c.top_logps), strict=True)
        ],
        "coefficients": [significant(values) for values in c.coefficients_by_update],
        **_present(c),
    }


def _present(c: CompletionRecord) -> dict[str, Any]:
    """Return what only some completions have."""
    parts: dict[str, Any] = {}
    if c.token_advantages.size and not np.all(c.token_advantages == c.token_advantages[0]):
        parts["advantages"] = significant(c.token_advantages)
    if c.is_masked:
        parts["masked"] = True
    if not c.kept_by_update.all():
        parts["kept"] = [_flags(flags) for flags in c.kept_by_update]
    if c.exact_kl_by_update is not None:
        parts["exact_kl"] = [significant(values) for values in c.exact_kl_by_update]
    if c.values is not None:
        parts["values"] = significant(c.values)
    if c.steps:
        parts["steps"] = [asdict(step) for step in c.steps]
    if c.true_reward is not None:
        parts["true_reward"] = c.true_reward
    return parts


def _numbers(values: NDArray[np.float32]) -> list[float]:
    """Return log-probabilities with six decimals: a ratio is then right to one part in a million."""
    return np.round(values.astype(np.float64), 6).tolist()


def _chances(logps: NDArray[np.float32]) -> list[list[float]]:
    return np.round(np.exp(logps.astype(np.float64)), 5).tolist()


def significant(values: NDArray[np.float32], digits: int = 6) -> list[float]:
    """Return numbers of any size with `digits` significant digits, which their JSON then shows and no more.

    >>> significant(np.array([0.000123456789, -7.0, 0.0, 1 / 3, 1.23456789e-30]))
    [0.000123457, -7.0, 0.0, 0.333333, 1.23457e-30]
    """
    exact = values.astype(np.float64)
    sizes = np.abs(np.where(np.isfinite(exact) & (exact != 0), exact, 1.0))
    places = np.maximum(digits - 1 - np.floor(np.log10(sizes)), 0)
    scale = 10.0 ** np.minimum(places, 22)  # the last power of ten that is exact
    rounded = np.round(exact * scale) / scale
    for tiny in np.flatnonzero(places > 22):
        rounded[tiny] = float(f"{exact[tiny]:.{digits - 1}e}")
    return rounded.tolist()


def _flags(values: NDArray[np.bool_]) -> str:
    return (values.astype(np.uint8) + ord("0")).tobytes().decode("ascii")


def visible_spans(tokens: Sequence[str]) -> tuple[list[str], list[list[int]] | None]:
    """Return the tokens' texts and the ranges of tokens that are one visible piece; None if each token is one.

    A character whose bytes are spread over several tokens is shown once: its text is at the first of them, the others
    are empty. Bytes that never form a character stay as `<0x..>`.

    >>> visible_spans(["a", "<0xE4>", "<0xBD>", "<0xA0>", "b"])
    (['a', '你', '', '', 'b'], [[0, 1], [1, 4], [4, 5]])
    >>> visible_spans(["a", "<0xE4>", "b"])
    (['a', '<0xE4>', 'b'], None)
    """
    texts, spans, start = list(tokens), [], 0
    while start < len(tokens):
        end, text = _whole_character(tokens, start)
        texts[start:end] = [text] + [""] * (end - start - 1)
        spans.append([start, end])
        start = end
    return texts, spans if len(spans) < len(tokens) else None


def _whole_character(tokens: Sequence[str], start: int) -> tuple[int, str]:
    """Return the end and the text of the shortest run of tokens from `start` whose bytes are whole characters."""
    if _BYTES.search(tokens[start]):
        decoder, text = codecs.getincrementaldecoder("utf-8")(), ""
        for end in range(start + 1, len(tokens) + 1):
            try:
                text += decoder.decode(_to_bytes(tokens[end - 1]))
            except UnicodeDecodeError:
                break
            is_whole = not decoder.getstate()[0]
            if is_whole:
                return end, text
    return start + 1, tokens[start]


def _to_bytes(text: str) -> bytes:
    parts = _BYTES.split(text)  # text, hex, text, hex, …, text
    return b"".join(bytes.fromhex(p) if i % 2 else p.encode("utf-8") for i, p in enumerate(parts))
