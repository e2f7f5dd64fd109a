import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.run.records import make_record
from workbench.errors import ConfigError
from workbench.run.record import Finished, Progress, StepRecord
from workbench.run.runner import Runner
from workbench.tasks.base import RewardError

PATIENCE_S = 10.0


def wait_until(claim: Callable[[], bool]) -> None:
    """Return as soon as the claim holds; fail if it never does."""
    give_up = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.0005)


class FakeEngine:
    """Yields a load, then steps of `num_tokens` progress events and a record. If gated, `let` lets events through."""

    def __init__(self, num_steps: int = 10**6, num_tokens: int = 3, gated: bool = False) -> None:
        self.num_events, self.was_closed = 0, False
        self._gate = threading.Semaphore(0) if gated else None
        self._events = self._generate(num_steps, num_tokens)

    def _generate(self, num_steps: int, num_tokens: int) -> Iterator[Progress | StepRecord]:
        try:
            yield Progress(0, "load")
            for step in range(1, num_steps + 1):
                for token in range(num_tokens):
                    yield Progress(step, "sample", token + 1, num_tokens)
                yield make_record(step)
        finally:
            self.was_closed = True

    def __iter__(self) -> "FakeEngine":
        return self

    def __next__(self) -> Progress | StepRecord:
        if self._gate is not None:
            assert self._gate.acquire(timeout=PATIENCE_S)
        event = next(self._events)
        self.num_events += 1
        return event

    def close(self) -> None:
        self._events.close()

    def let(self, num_events: int) -> None:
        """Open the gate for that many events and wait until they were taken."""
        wanted = self.num_events + num_events
        self._gate.release(num_events)
        wait_until(lambda: self.num_events == wanted)


@pytest.fixture
def start():
    """Return a function that starts a runner on an engine; stop them all at the end."""
    runners = []

    def start(engine, on_record=lambda record: None) -> Runner:
        runners.append(Runner(engine, on_record))
        runners[-1].start()
        return runners[-1]

    yield start
    for runner in runners:
        runner.stop()
        engine = runner._engine
        if getattr(engine, "_gate", None) is not None:
            engine._gate.release(10)
        assert runner.join(PATIENCE_S)


def test_a_run_goes_from_loading_to_running_to_paused_to_running_to_stopped(start):
    engine = FakeEngine(gated=True)
    runner = start(engine)
    states = [runner.state]
    engine.let(1)
    states.append(runner.state)
    engine.let(2)
    wait_until(lambda: runner.phase == Progress(1, "sample", 2, 3) and runner.state == "running")
    states.append(runner.state)
    runner.pause()
    engine.let(1)
    wait_until(lambda: runner.state == "paused")
    states.append(runner.state)
    assert runner.is_active and runner.phase == Progress(1, "sample", 3, 3)
    runner.resume()
    wait_until(lambda: runner.state == "running")
    states.append(runner.state)
    runner.stop()
    engine.let(1)
    assert runner.join(PATIENCE_S)
    states.append(runner.state)
    assert states == ["loading", "loading", "running", "paused", "running", "stopped"]
    assert not runner.is_active and runner.failure is None and runner.phase is None


def test_a_pause_takes_effect_between_two_events_of_one_step(start):
    engine = FakeEngine(num_tokens=5, gated=True)
    records = []
    runner = start(engine, records.append)
    engine.let(3)
    runner.pause()
    engine.let(1)
    wait_until(lambda: runner.state == "paused")
    engine._gate.release(5)
    time.sleep(0.02)
    assert engine.num_events == 4 and records == [], "nothing is asked of the engine while it is paused"
    runner.resume()
    wait_until(lambda: engine.num_events == 9)


def test_one_step_ends_with_the_step_in_progress_and_then_pauses(start):
    records = []
    engine = FakeEngine(num_tokens=4, gated=True)
    runner = start(engine, records.append)
    engine.let(3)
    runner.step()
    engine.let(3)
    wait_until(lambda: runner.state == "paused")
    assert [record.step for record in records] == [1]
    for step in (2, 3):
        runner.step()
        engine.let(5)
        wait_until(lambda: runner.state == "paused")
        assert [record.step for record in records] == list(range(1, step + 1))


def test_the_records_arrive_all_and_in_order_and_the_end_of_the_engine_is_the_end_of_the_run(start):
    records, engine = [], FakeEngine(num_steps=20)
    runner = start(engine, records.append)
    assert runner.join(PATIENCE_S)
    assert [record.step for record in records] == list(range(1, 21))
    assert (runner.state, runner.failure, engine.was_closed) == ("stopped", None, True)


@pytest.mark.parametrize("before", ["running", "paused"])
def test_stop_closes_the_engine_where_it_stands(start, before):
    engine = FakeEngine()
    runner = start(engine)
    wait_until(lambda: engine.num_events > 5)
    if before == "paused":
        runner.pause()
        wait_until(lambda: runner.state == "paused")
    runner.stop()
    assert runner.join(PATIENCE_S)
    assert runner.state == "stopped" and engine.was_closed


def test_stop_is_obeyed_before_the_next_token(start):
    engine, records = FakeEngine(num_tokens=50, gated=True), []
    runner = start(engine, records.append)
    engine.let(10)
    runner.stop()
    engine._gate.release(50)
    assert runner.join(PATIENCE_S)
    assert engine.num_events == 11 and records == [] and engine.was_closed, "the token in the making is the last one"


def test_each_state_is_told_once_when_it_is_entered():
    told = []
    engine = FakeEngine(num_steps=2)
    runner = Runner(engine, lambda record: None, on_state=lambda: told.append(runner.state))
    runner.start()
    assert runner.join(PATIENCE_S)
    assert told == ["running", "stopped"]


def test_nothing_revives_a_stopped_run(start):
    engine = FakeEngine()
    runner = start(engine)
    runner.stop()
    for command in (runner.resume, runner.step, runner.pause):
        command()
    assert runner.join(PATIENCE_S) and runner.state == "stopped"


def raise_from_engine(error: BaseException) -> Iterator[Progress]:
    yield Progress(0, "load")
    raise error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RewardError("reward function 'f' raised\nsecond line"), "reward function 'f' raised"),
        (RuntimeError(), "RuntimeError"),
        (RuntimeError("  \n "), "RuntimeError"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyError("target"), "KeyError: 'target'"),
        (ConfigError("model='x' is not there"), "model='x' is not there"),
    ],
)
def test_a_failed_run_keeps_one_sentence_and_the_traceback(start, error, message):
    runner = start(raise_from_engine(error))
    assert runner.join(PATIENCE_S)
    assert runner.state == "failed" and not runner.is_active
    assert runner.failure.message == message
    assert "Traceback" in runner.failure.detail and "raise_from_engine" in runner.failure.detail
    assert runner.failure.is_setting == isinstance(error, ConfigError)


def test_a_record_that_cannot_be_kept_fails_the_run_and_closes_the_engine(start):
    def full_disk(record: StepRecord) -> None:
        raise OSError("no space left on device")

    engine = FakeEngine()
    runner = start(engine, full_disk)
    assert runner.join(PATIENCE_S)
    assert runner.state == "failed" and "no space" in runner.failure.message
    assert engine.was_closed


def make_steps(num_steps: int, make_record: Callable[[int], StepRecord]) -> Iterator[Progress | Finished]:
    """Yield steps whose records are made by whoever wants them."""
    yield Progress(0, "load")
    for step in range(1, num_steps + 1):
        yield Progress(step, "sample")
        yield Finished(step, lambda step=step: make_record(step))


def test_the_next_step_goes_on_while_a_record_is_made(start):
    began, may_end = threading.Event(), threading.Event()

    def make(step: int) -> StepRecord:
        assert threading.current_thread().name.startswith("recording")
        began.set()
        assert may_end.wait(PATIENCE_S)
        return make_record(step)

    records = []
    runner = start(make_steps(2, make), records.append)
    assert began.wait(PATIENCE_S)
    wait_until(lambda: runner.phase == Progress(2, "sample"))
    assert records == [] and runner.state == "running"
    may_end.set()
    assert runner.join(PATIENCE_S)
    assert [record.step for record in records] == [1, 2]


@pytest.mark.parametrize(("command", "state"), [("step", "paused"), ("stop", "stopped")])
def test_no_record_is_missing_when_a_pause_or_the_end_is_told(command, state):
    seen = []

    def make(step: int) -> StepRecord:
        time.sleep(0.02)
        return make_record(step)

    records = []
    runner = Runner(make_steps(10**6, make), records.append, on_state=lambda: seen.append((runner.state, len(records))))
    if command == "step":
        runner.step()
        runner.start()
        wait_until(lambda: runner.state == "paused")
        assert seen[-1] == ("paused", 1)
        runner.stop()
    else:
        runner.start()
        wait_until(lambda: runner.phase is not None and runner.phase.step == 3)
        runner.stop()
    assert runner.join(PATIENCE_S)
    assert seen[-1] == ("stopped", len(records))
    assert [record.step for record in records] == list(range(1, len(records) + 1))
    assert len(records) >= 2 or state == "paused"


@pytest.mark.parametrize("num_steps", [1, 10**6])
def test_a_record_that_cannot_be_made_fails_the_run_at_its_end_or_with_the_next_step(start, num_steps):
    def broken(step: int) -> StepRecord:
        raise RewardError("the answer cannot be read")

    runner = start(make_steps(num_steps, broken))
    assert runner.join(PATIENCE_S)
    assert (runner.state, runner.failure.message) == ("failed", "the answer cannot be read")
    assert "broken" in runner.failure.detail


def test_a_step_that_was_over_is_kept_when_the_next_one_fails(start):
    def engine() -> Iterator[Progress | Finished]:
        yield from make_steps(1, lambda step: time.sleep(0.02) or make_record(step))
        raise RewardError("reward function 'f' raised")

    records = []
    runner = start(engine(), records.append)
    assert runner.join(PATIENCE_S)
    assert runner.state == "failed" and [record.step for record in records] == [1]


def test_an_iterator_without_close_may_drive_a_run(start):
    runner = start(iter([Progress(0, "load"), make_record(1)]))
    assert runner.join(PATIENCE_S) and runner.state == "stopped"


def test_commands_from_many_threads_never_lose_a_step_and_never_hang(start):
    records, engine = [], FakeEngine()
    runner = start(engine, records.append)

    def press(commands: list[Callable[[], None]]) -> None:
        for _ in range(100):
            for command in commands:
                command()

    threads = [
        threading.Thread(target=press, args=(commands,))
        for commands in ([runner.pause, runner.resume], [runner.step, runner.pause], [runner.resume, runner.step])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runner.resume()
    already = len(records)
    wait_until(lambda: len(records) > already)
    runner.pause()
    wait_until(lambda: runner.state == "paused")
    runner.stop()
    assert runner.join(PATIENCE_S) and runner.state == "stopped"
    assert [record.step for record in records] == list(range(1, len(records) + 1))


def test_waiting_for_a_run_that_goes_on_says_so(start):
    runner = start(FakeEngine())
    assert runner.join(0.01) is False
