import threading
from collections.abc import Iterator

import pytest

from tests.run.records import make_record
from workbench.run.scribe import Scribe

PATIENCE_S = 10.0


@pytest.fixture
def kept() -> list[tuple[int, str]]:
    return []


@pytest.fixture
def scribe(kept) -> Iterator[Scribe]:
    made = Scribe(lambda record: kept.append((record.step, threading.current_thread().name)))
    yield made
    made.close()


def test_records_are_made_and_kept_in_order_by_a_thread_beside(scribe, kept):
    makers = []

    def make(step: int):
        makers.append(threading.current_thread())
        return make_record(step)

    for step in (1, 2, 3):
        scribe.take(lambda step=step: make(step))
    scribe.finish()
    assert [step for step, _ in kept] == [1, 2, 3]
    assert len(set(makers)) == 1 and makers[0] is not threading.current_thread()
    assert {name for _, name in kept} == {makers[0].name} and makers[0].name.startswith("recording")


def test_one_record_at_a_time_waits_and_no_more(scribe, kept):
    gates = {1: threading.Event(), 2: threading.Event()}

    def make(step: int):
        assert gates[step].wait(PATIENCE_S)
        return make_record(step)

    scribe.take(lambda: make(1))
    assert kept == [], "the taker went on"
    threading.Timer(0.02, gates[1].set).start()
    scribe.take(lambda: make(2))
    assert [step for step, _ in kept] == [1], "the second was taken when the first was kept"
    gates[2].set()
    scribe.finish()
    assert [step for step, _ in kept] == [1, 2]


def full_disk(record) -> None:
    raise OSError("no space left on device")


def test_what_goes_wrong_is_raised_once_at_the_next_call():
    scribe = Scribe(full_disk)
    scribe.take(make_record)
    with pytest.raises(OSError, match="no space"):
        scribe.take(make_record)
    scribe.finish()
    scribe.take(make_record)
    with pytest.raises(OSError, match="no space"):
        scribe.finish()
    scribe.close()


def test_closing_waits_for_what_was_taken(scribe, kept):
    slow = threading.Event()
    scribe.take(lambda: slow.wait(0.05) or make_record(7))
    scribe.close()
    assert [step for step, _ in kept] == [7]
