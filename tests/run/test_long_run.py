"""A run of ten thousand steps: as light as a short one, and every step of it still to be had."""

from dataclasses import replace

import pytest

from tests.run.records import make_record
from workbench.run.config import RunConfig
from workbench.run.history import BLOCK, MOST_BUCKETS
from workbench.run.knobs import Knobs
from workbench.run.recorder import RunFolder, _append_lines
from workbench.run.rows import WHOLE_ROWS
from workbench.run.store import RunStore

STEPS = 10_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> RunFolder:
    """A run folder whose rows are those of a made-up record, step after step, with a spike and a knob change."""
    folder = RunFolder.create(tmp_path_factory.mktemp("long") / "run", RunConfig(), Knobs())
    row = make_record(1).row()
    rows = [
        row | {"step": step, "metrics": row["metrics"] | {"reward": 9.0 if step == 7777 else 0.5}}
        for step in range(1, STEPS + 1)
    ]
    _append_lines(folder.metrics, rows)
    event = {"index": 0, "step": 5000, "knob": "beta", "old": 0.0, "new": 0.1}
    _append_lines(folder.path / "events.jsonl", [event])
    return folder


@pytest.fixture(scope="module")
def store(folder: RunFolder) -> RunStore:
    return RunStore.open(folder, title="long", source="replay")


def test_only_the_newest_rows_are_in_memory_and_every_row_is_read_back(store):
    assert store.num_rows == store.newest_step == STEPS and store.first_step == 1
    assert WHOLE_ROWS <= len(store._log._newest) < WHOLE_ROWS + BLOCK and not store._log._old
    for step in (1, 2, 4999, 7777, STEPS - 1, STEPS):
        assert store.row(step)["step"] == step
    assert store.row(7777)["metrics"]["reward"] == 9.0
    for step in (0, STEPS + 1):
        with pytest.raises(KeyError, match=f"has no step {step}"):
            store.row(step)


def test_rows_are_the_same_from_disk_and_from_memory_and_across_their_border(store):
    everything = store.rows()
    assert [row["step"] for row in everything] == list(range(1, STEPS + 1))
    border = store.num_folded
    for since, most in ((0, 3), (border - 2, 4), (border, 1), (STEPS - 1, 9), (border - 3, 2), (STEPS, 5)):
        assert store.rows(since, most) == everything[since : since + most]
    assert store.rows(-3) == everything[-3:]


def test_the_curves_are_as_short_as_a_screen_is_wide_and_keep_the_spike_the_first_and_the_last(store):
    sampled = store.sampled_rows()
    assert len(sampled) < MOST_BUCKETS + WHOLE_ROWS + BLOCK
    assert sampled[-1]["step"] == STEPS and store.history(["reward"])["steps"][0][0] == 1
    assert (7777.0, 9.0) in [row["extremes"]["reward"][1] for row in sampled if "extremes" in row]
    assert store.events()[0]["step"] == 5000 and store.knobs.beta == 0.1


def test_what_a_page_gets_of_the_newest_rows_is_made_once(store):
    first, rows = store.sent_rows(0)
    assert first == STEPS - len(rows) == store.num_folded
    assert all(a is b for a, b in zip(rows, store.sent_rows(0)[1], strict=True))
    assert store.sent_rows(STEPS - 1) == (STEPS - 1, rows[-1:])


def test_a_live_run_keeps_no_more_in_memory_as_it_goes_on(tmp_path):
    store = RunStore(
        RunConfig(), Knobs(), title="t", folder=RunFolder.create(tmp_path / "run", RunConfig(), Knobs()), keep=2
    )
    record = make_record(1)
    for step in range(1, 3 * WHOLE_ROWS + 1):
        store.append(replace(record, step=step))
    assert len(store._log._newest) < WHOLE_ROWS + BLOCK and len(store._records) == 2 and not store._log._old
    opened = RunStore.open(RunFolder(tmp_path / "run"), title="t", source="replay")
    assert opened.rows() == store.rows() and opened.history() == store.history()


def test_without_a_folder_no_row_is_lost():
    store = RunStore(RunConfig(), Knobs(), title="t")
    record = make_record(1)
    for step in range(1, 2 * WHOLE_ROWS + BLOCK + 1):
        store.append(replace(record, step=step))
    assert [row["step"] for row in store.rows()] == list(range(1, 2 * WHOLE_ROWS + BLOCK + 1))
    assert store.row(3)["step"] == 3
