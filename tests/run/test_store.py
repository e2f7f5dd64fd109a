import threading

import pytest

from tests.run.records import is_same, make_record
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs
from workbench.run.recorder import RunFolder
from workbench.run.store import RunStore


def new_store(path=None, **settings) -> RunStore:
    folder = None if path is None else RunFolder.create(path, RunConfig(), Knobs())
    return RunStore(RunConfig(), Knobs(), title="t", folder=folder, **settings)


def test_older_steps_are_read_back_from_disk_as_they_were(tmp_path):
    store = new_store(tmp_path, keep=2)
    for step in range(1, 6):
        store.append(make_record(step))
    for step in (1, 5, 3, 1, 2):
        assert is_same(store.record(step), make_record(step))


def test_no_more_than_the_kept_records_stay_in_memory(tmp_path):
    store = new_store(tmp_path, keep=2)
    for step in range(1, 6):
        store.append(make_record(step))
        store.record(1)
    assert len(store._records) == 2


def test_without_a_folder_an_old_record_is_gone_and_the_error_says_why():
    store = new_store(keep=2)
    for step in range(1, 4):
        store.append(make_record(step))
    with pytest.raises(KeyError, match="step 1 is no longer in memory: only the last 2 steps are"):
        store.record(1)
    for step in (0, 4, -1):
        with pytest.raises(KeyError, match=f"has no step {step}"):
            store.record(step)
    assert len(store.rows()) == 3, "its scalars stay"


def test_events_are_the_differences_between_the_knobs_of_one_step_and_the_next():
    store = new_store()
    settings = [Knobs(), Knobs(beta=0.1), Knobs(beta=0.1), Knobs(beta=0.1, epsilon=0.3), Knobs()]
    for step, knobs in enumerate(settings, 1):
        store.append(make_record(step, knobs))
    assert [(e["index"], e["step"], e["knob"], e["old"], e["new"]) for e in store.events()] == [
        (0, 2, "beta", 0.0, 0.1),
        (1, 4, "epsilon", 0.2, 0.3),
        (2, 5, "epsilon", 0.3, 0.2),
        (3, 5, "beta", 0.1, 0.0),
    ]


def test_a_knob_turned_before_the_first_step_is_an_event_of_step_1():
    store = new_store()
    store.append(make_record(1, Knobs(beta=0.5)))
    assert store.events() == [{"index": 0, "step": 1, "knob": "beta", "old": 0.0, "new": 0.5}]


def test_the_opened_run_is_the_run_that_was_written(tmp_path):
    store = new_store(tmp_path)
    assert (store.newest_step, store.knobs) == (0, Knobs())
    for step in range(1, 4):
        store.append(make_record(step, Knobs(beta=step / 10)))
    opened = RunStore.open(RunFolder(tmp_path), title="t", source="replay")
    assert opened.rows() == store.rows() and opened.events() == store.events()
    assert opened.knobs == store.knobs == Knobs(beta=0.3)
    assert opened.newest_step == 3 and opened.id != store.id
    assert is_same(opened.record(2), store.record(2))


def test_rows_and_events_since_a_number_are_those_that_come_after_it():
    store = new_store()
    for step in range(1, 6):
        store.append(make_record(step, Knobs(beta=step / 10)))
    assert [row["step"] for row in store.rows(3)] == [4, 5]
    assert [event["index"] for event in store.events(4)] == [4]
    assert store.rows(5) == store.rows(99) == []


def test_readers_never_see_half_a_step_while_one_thread_appends(tmp_path):
    store = new_store(tmp_path, keep=3)
    seen = []

    def read() -> None:
        while store.newest_step < 40:
            newest = store.newest_step
            if newest:
                seen.append((newest, store.record(1 + newest // 2).step, len(store.rows()) >= newest))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for step in range(1, 41):
        store.append(make_record(step))
    for reader in readers:
        reader.join()
    assert all(step == 1 + newest // 2 and has_rows for newest, step, has_rows in seen)
