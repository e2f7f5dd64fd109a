import os

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.run.records import is_same, make_record
from workbench.run import recording
from workbench.run.knobs import Knobs
from workbench.run.recording import read_step, step_path, write_step

LENGTHS = st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=3).map(tuple), min_size=1, max_size=3).map(tuple)
KNOBS = st.builds(
    Knobs,
    num_iterations=st.integers(1, 3),
    importance_sampling_level=st.sampled_from(["token", "sequence"]),
    delta=st.none() | st.floats(1, 100),
)


@settings(max_examples=60)
@given(LENGTHS, KNOBS, st.lists(st.text(max_size=8), min_size=1, max_size=4).map(tuple), st.booleans())
def test_a_record_comes_back_as_it_was(tmp_path_factory, lengths, knobs, texts, has_reference):
    record = make_record(3, knobs, lengths=lengths, texts=texts, has_reference=has_reference)
    path = tmp_path_factory.mktemp("run") / "000003.npz"
    write_step(path, record)
    assert is_same(read_step(path), record)


def test_a_record_of_nothing_but_empty_completions_comes_back(tmp_path):
    record = make_record(lengths=((0, 0), (0, 0)))
    write_step(tmp_path / "1.npz", record)
    assert is_same(read_step(tmp_path / "1.npz"), record)


def test_anybody_can_read_the_arrays_with_numpy_alone(tmp_path):
    record = make_record(lengths=((2, 3), (0, 4)))
    write_step(tmp_path / "1.npz", record)
    with np.load(tmp_path / "1.npz", allow_pickle=False) as file:
        tokens = file["tokens"]
    completions = [c for group in record.groups for c in group.completions]
    assert np.array_equal(tokens["entropy"], np.concatenate([c.entropy for c in completions]))
    assert np.array_equal(tokens["logps_by_update"], np.concatenate([c.logps_by_update for c in completions], axis=1))
    assert all(tokens[name].flags.aligned for name in tokens.dtype.names)


def test_a_file_of_before_with_a_member_for_each_array_is_read_too(tmp_path, monkeypatch):
    record = make_record()
    write_arrays = recording._write_arrays

    def unpacked(path, members):
        write_arrays(path, {"text": members["text"], **members["tokens"]})

    monkeypatch.setattr(recording, "_packed", lambda arrays: arrays)
    monkeypatch.setattr(recording, "_write_arrays", unpacked)
    write_step(tmp_path / "1.npz", record)
    assert "entropy" in np.load(tmp_path / "1.npz").files
    assert is_same(read_step(tmp_path / "1.npz"), record)


def test_the_comparison_sees_one_changed_number():
    record, other = make_record(), make_record()
    assert is_same(record, other)
    other.groups.columns["entropy"].flags.writeable = True
    other.groups.columns["entropy"][0] += 1
    assert not is_same(record, other)


def test_what_is_read_cannot_be_changed_by_accident(tmp_path):
    write_step(tmp_path / "1.npz", make_record())
    completion = read_step(tmp_path / "1.npz").groups[0].completions[0]
    for name in ("old_logps", "logps_by_update", "top_ids", "ref_logps"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(completion, name)[...] = 0


def test_a_write_that_breaks_off_leaves_the_older_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "000001.npz"
    record = make_record()
    write_step(path, record)

    def half(path, arrays):
        path.write_bytes(b"PK\x03\x04 half a file")
        raise OSError("no space left on device")

    monkeypatch.setattr(recording, "_write_arrays", half)
    with pytest.raises(OSError, match="no space"):
        write_step(path, make_record(1, seed=9))
    monkeypatch.undo()
    assert is_same(read_step(path), record)
    assert list(tmp_path.glob("*.npz")) == [path]


def test_the_file_appears_under_its_name_only_when_it_is_whole(tmp_path, monkeypatch):
    path = tmp_path / "000001.npz"
    seen = []

    def replace(part, whole):
        seen.append((path.exists(), is_same(read_step(part), record)))
        os.rename(part, whole)

    record = make_record()
    monkeypatch.setattr(recording.os, "replace", replace)
    write_step(path, record)
    assert seen == [(False, True)]


def test_a_file_of_another_schema_is_refused_by_name(tmp_path):
    path = tmp_path / "000001.npz"
    np.savez(path, text=np.frombuffer(orjson.dumps({"schema": 99}), dtype=np.uint8))
    with pytest.raises(ValueError, match="has schema 99; this version reads schema"):
        read_step(path)


def test_steps_sort_by_their_names(tmp_path):
    names = [step_path(tmp_path, step).name for step in (1, 2, 10, 99, 100, 12345)]
    assert names == sorted(names)
