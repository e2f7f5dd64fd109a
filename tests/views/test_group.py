from dataclasses import replace
from itertools import pairwise

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.run.records import is_same, make_record
from workbench.run.completion import StepMark
from workbench.run.knobs import Knobs
from workbench.views.group import page_group, significant, visible_spans

GROUP_KEYS = [
    "bug",
    "run",
    "step",
    "group",
    "method",
    "num_groups",
    "knobs",
    "groups",
    "prompt",
    "target",
    "reward_names",
    "reward_weights",
    "reward_max",
    "mean",
    "std",
    "dead",
    "completions",
    "budget",
]
COMPLETION_KEYS = [
    "text",
    "answer",
    "correct",
    "truncated",
    "rewards",
    "reasons",
    "reward",
    "advantage",
    "length",
    "ids",
    "tokens",
    "spans",
    "sampled",
    "old",
    "ref",
    "logps",
    "clipped",
    "outside",
    "entropy",
    "weight",
    "top",
    "coefficients",
]
SOMETIMES = {"advantages", "masked", "kept", "exact_kl", "values", "steps", "true_reward"}


def as_byte_tokens(text: str, cuts: list[int]) -> list[str]:
    """Return `text` as a byte-level tokenizer may: cut at any bytes, what is not a character alone as <0x..>."""
    data = text.encode("utf-8")
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [_visible(data[a:b]) for a, b in pairwise(places)]


def _visible(piece: bytes) -> str:
    try:
        return piece.decode("utf-8")
    except UnicodeDecodeError:
        return "".join(chr(byte) if byte < 0x80 else f"<0x{byte:02X}>" for byte in piece)


letters = st.text(st.sampled_from("ab 1你好优势é😀"), max_size=12)


@given(letters, st.lists(st.integers(0, 60), max_size=20))
def test_spans_put_the_bytes_of_a_text_together_again(text, cuts):
    tokens = as_byte_tokens(text, cuts)
    texts, spans = visible_spans(tokens)
    assert "".join(texts) == text
    assert len(texts) == len(tokens)
    ranges = spans or [[i, i + 1] for i in range(len(tokens))]
    assert [i for start, end in ranges for i in range(start, end)] == list(range(len(tokens)))
    assert all(texts[i] == "" for start, end in ranges for i in range(start + 1, end))


@given(st.lists(st.binary(min_size=1, max_size=3).map(_visible), max_size=12))
def test_bytes_that_are_no_character_stay_visible_and_nothing_is_lost(tokens):
    texts, spans = visible_spans(tokens)
    ranges = spans or [[i, i + 1] for i in range(len(tokens))]
    assert [i for start, end in ranges for i in range(start, end)] == list(range(len(tokens)))
    assert all(texts[start] for start, _ in ranges)


def test_a_group_on_the_wire_has_the_fields_of_the_contract():
    wire = page_group("r1", make_record(3, Knobs(num_iterations=2)), 0)
    assert sorted(wire) == sorted(GROUP_KEYS)
    assert all(set(COMPLETION_KEYS) == c.keys() - SOMETIMES for c in wire["completions"])
    first = wire["completions"][0]
    assert (wire["run"], wire["step"], wire["group"], wire["num_groups"]) == ("r1", 3, 0, 2)
    assert first["length"] == len(first["ids"]) == len(first["tokens"]) == len(first["old"]) == 3
    assert len(first["logps"]) == len(first["clipped"]) == len(first["outside"]) == len(wire["budget"]) == 2
    assert all(len(flags) == 3 and set(flags) <= {"0", "1"} for flags in first["clipped"] + first["outside"])
    assert all(0 <= p <= 1 for top in first["top"] for _, p in top)


def plain(length: int = 3, **changes):
    """Return the wire of a completion that has nothing but what all have, and `changes`."""
    record = make_record(1, Knobs(num_iterations=2), lengths=((length,),))
    kept = np.ones((2, length), dtype=bool)
    same = {"token_advantages": np.ones(length, dtype=np.float32), "kept_by_update": kept, "is_masked": False}
    completion = replace(record.groups[0].completions[0], **same | changes)
    group = replace(record.groups[0], completions=(completion,))
    return page_group("r", replace(record, groups=(group,)), 0, "ppo")


def test_what_a_completion_has_not_is_left_out():
    assert plain()["completions"][0].keys() == set(COMPLETION_KEYS)
    assert "true_reward_max" not in plain() and plain()["method"] == "ppo"
    assert plain(length=0)["completions"][0]["coefficients"] == [[], []]


def test_what_only_some_completions_have_is_there_as_it_is():
    kept = np.array([[True, True, True], [True, False, True]])
    floats = np.array([0.5, -1.25, 1 / 3], dtype=np.float32)
    steps = (StepMark(2, 1.0, 0.5, "right"), StepMark(3, 0.0, -1.5, "wanted 7"))
    made = plain(
        kept_by_update=kept,
        is_masked=True,
        token_advantages=floats,
        values=floats,
        exact_kl_by_update=np.stack([floats, floats]),
        steps=steps,
        true_reward=0.25,
    )
    wire = made["completions"][0]
    assert wire.keys() == set(COMPLETION_KEYS) | SOMETIMES
    assert wire["kept"] == ["111", "101"] and wire["masked"] is True and wire["true_reward"] == 0.25
    assert wire["advantages"] == wire["values"] == [0.5, -1.25, 0.333333]
    assert wire["exact_kl"] == [wire["values"]] * 2
    assert wire["steps"][1] == {"end": 3, "reward": 0.0, "normalised": -1.5, "reason": "wanted 7"}
    assert made["true_reward_max"] == 0.25


def test_the_scale_of_the_true_reward_is_that_of_the_whole_step():
    record = make_record(1, lengths=((1,), (1,)))
    one, other = record.groups
    low = replace(one, completions=(replace(one.completions[0], true_reward=0.5),))
    high = replace(other, completions=(replace(other.completions[0], true_reward=1.5),))
    assert page_group("r", replace(record, groups=(low, high)), 0)["true_reward_max"] == 1.5


@given(st.lists(st.floats(width=32), max_size=12))
def test_coefficients_of_any_size_keep_six_digits_in_few_letters(values):
    written = significant(np.array(values, dtype=np.float32))
    for value, kept in zip(values, written, strict=True):
        assert kept == pytest.approx(value, rel=5.1e-6, abs=0, nan_ok=True)
        if 0 < abs(kept) < 1e6:
            assert kept == float(f"{kept:.6g}"), "no digits that rounding made up"


def test_the_first_ratio_is_exactly_1_on_the_wire_too():
    for completion in page_group("r", make_record(1, Knobs(num_iterations=3)), 0)["completions"]:
        assert completion["logps"][0] == completion["old"]


def test_nothing_is_null_that_was_measured_and_what_was_not_is_null():
    wire = page_group("r", make_record(1, lengths=((2, 0, 1),), has_reference=False), 0)
    assert [c["ref"] for c in wire["completions"]] == [None] * 3
    assert [c["reward"] for c in wire["completions"]] == [0.0, 1.0, None]
    assert wire["completions"][1]["length"] == 0 and wire["completions"][1]["tokens"] == []
    assert wire["completions"][0]["rewards"]["格式"] is None


def test_numbers_that_json_has_not_become_null():
    record = make_record(1)
    logps = record.groups.columns["logps_by_update"].copy()
    logps[0, 0], logps[0, 1] = np.nan, -np.inf
    broken = replace(record, groups=record.groups.with_columns({"logps_by_update": logps}))
    wire = orjson.loads(orjson.dumps(page_group("r", broken, 0)))
    assert wire["completions"][0]["logps"][0][:2] == [None, None]


def test_log_probabilities_keep_the_ratio_to_a_millionth():
    completion = make_record(1, Knobs(num_iterations=2)).groups[0].completions[0]
    wire = page_group("r", make_record(1, Knobs(num_iterations=2)), 0)["completions"][0]
    ratio = np.exp(np.array(wire["logps"][1]) - np.array(wire["old"]))
    np.testing.assert_allclose(ratio, completion.ratio, rtol=2e-6)


@pytest.mark.parametrize("index", [-1, 2])
def test_a_group_that_is_not_there_is_an_index_error(index):
    with pytest.raises(IndexError, match="step 1 has groups 0 to 1"):
        page_group("r", make_record(1), index)


def test_drawing_leaves_the_record_as_it_was_and_says_the_same_twice():
    record = make_record(1)
    once = page_group("r", record, 0)
    assert page_group("r", record, 0) == once and is_same(record, make_record(1))
    once["knobs"]["beta"], once["completions"][0]["rewards"]["answer"] = 9, 9
    assert is_same(record, make_record(1)), "what is handed out is a copy"
