import threading
from collections.abc import Callable

import pytest

from tests.run.records import make_record
from tests.run.test_runner import PATIENCE_S, FakeEngine, wait_until
from workbench.errors import ConfigError, KnobError
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs
from workbench.run.library import open_earlier
from workbench.run.recorder import RunFolder
from workbench.run.store import RunStore, open_run
from workbench.run.workbench import MAX_STORES, Workbench


class Opened:
    """The engines that a workbench opened, with what it opened them with."""

    def __init__(self) -> None:
        self.calls, self.engines, self.num_steps, self.gated = [], [], 10**6, False
        self.gate = threading.Semaphore(0)  # for the events of those that are gated

    def __call__(self, config, board, adapter_folder):
        self.calls.append((config, board.read()[1], adapter_folder))
        self.engines.append(self._take_knobs_each_step(board))
        return self.engines[-1]

    def _take_knobs_each_step(self, board):
        for event in FakeEngine(self.num_steps)._events:
            if self.gated:
                assert self.gate.acquire(timeout=PATIENCE_S)
            if hasattr(event, "groups"):
                yield make_record(event.step, board.take())
            else:
                yield event


@pytest.fixture
def opened() -> Opened:
    return Opened()


@pytest.fixture
def recording() -> RunStore:
    store = RunStore(RunConfig(), Knobs(beta=0.01), title="recording", source="tape")
    store.append(make_record(1, Knobs(beta=0.01)))
    return store


@pytest.fixture
def bench(opened, recording, tmp_path):
    bench = Workbench(recording, opened, runs_folder=tmp_path, preset="addition")
    yield bench
    opened.gate.release(1000)
    assert bench.close(PATIENCE_S)


def everything(bench: Workbench, opened: Opened, tmp_path) -> tuple:
    return bench.store, bench.runner, bench.state, bench._started, len(opened.calls), sorted(tmp_path.iterdir())


def test_before_a_run_the_recording_is_on_show(bench, recording):
    assert bench.store is recording and bench.state == "idle"
    assert bench.knobs_and_pending() == (Knobs(beta=0.01), {})
    assert bench.find_store(recording.id) is recording and bench.find_store("nonsense") is None


def test_a_run_on_prompts_of_ones_own_is_called_by_their_file(bench, opened, tmp_path):
    (tmp_path / "algebra.jsonl").write_text('{"prompt": "x"}')
    bench.start(config={"dataset": str(tmp_path / "algebra.jsonl"), "reward_funcs": ["answer"]})
    [(_, _, adapter)] = opened.calls
    assert bench.store.title == "algebra" and adapter.parent.name.endswith("-algebra")


def test_a_run_starts_with_the_preset_and_what_is_laid_over_it(bench, opened, tmp_path):
    bench.start(config={"seed": 7}, knobs={"beta": 0.3})
    [(config, knobs, adapter)] = opened.calls
    assert (config.task, config.seed, knobs.beta, knobs.num_iterations) == ("addition", 7, 0.3, 4)
    assert adapter.parent.parent == tmp_path
    assert bench.store.source == "live" and bench.find_store(bench.store.id) is bench.store
    wait_until(lambda: bench.store.newest_step >= 2)
    assert RunFolder(adapter.parent).read().config == config


def test_a_second_start_is_refused_and_changes_nothing(bench, opened, tmp_path):
    bench.start()
    bench.pause()
    wait_until(lambda: bench.state == "paused")
    before = everything(bench, opened, tmp_path)
    with pytest.raises(ConfigError, match="a run is going on: stop it before starting another"):
        bench.start(config={"seed": 1})
    with pytest.raises(ConfigError, match="a run is going on"):
        bench.show_recording()
    assert everything(bench, opened, tmp_path) == before


def given_at_once(times: int, command: Callable[[], None]) -> list[ConfigError]:
    """Give a command from that many threads and return the refusals."""
    refused, barrier = [], threading.Barrier(times)

    def give() -> None:
        barrier.wait()
        try:
            command()
        except ConfigError as error:
            refused.append(error)

    threads = [threading.Thread(target=give) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return refused


def test_of_many_starts_at_once_one_succeeds(bench, opened):
    refused = given_at_once(8, bench.start)
    assert len(opened.calls) == 1 and len(refused) == 7


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"preset": "chess"}, "unknown preset 'chess'"),
        ({"config": {"model": "nonsense"}}, "model='nonsense' is not there"),
        ({"config": {"dataset": "nowhere.jsonl"}}, "nowhere.jsonl"),
        ({"config": {"task": "chess"}}, "chess"),
        ({"config": {"nonsense": 1}}, "unknown setting 'nonsense'"),
        ({"config": {"prompts_per_step": 0}}, "prompts_per_step=0"),
        ({"knobs": {"beta": -1}}, "beta=-1"),
        ({"knobs": {"nonsense": 1}}, "unknown knob 'nonsense'"),
    ],
)
def test_what_cannot_be_run_is_told_and_changes_nothing(bench, opened, tmp_path, arguments, sentence):
    before = everything(bench, opened, tmp_path)
    with pytest.raises((ConfigError, KnobError), match=sentence):
        bench.start(**arguments)
    assert everything(bench, opened, tmp_path) == before
    bench.start()
    wait_until(lambda: bench.store.newest_step >= 1)


def test_a_runs_folder_that_cannot_be_written_changes_nothing(opened, recording, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    bench = Workbench(recording, opened, runs_folder=tmp_path / "file", preset="addition")
    with pytest.raises(ConfigError, match="cannot make the run folder"):
        bench.start()
    assert bench.store is recording and bench.state == "idle" and opened.calls == []


def test_restart_uses_the_same_config_and_the_first_knobs(bench, opened):
    with pytest.raises(ConfigError, match="nothing has been trained yet"):
        bench.restart()
    bench.start(config={"seed": 7}, knobs={"beta": 0.3})
    bench.set_knobs({"beta": 0.9})
    wait_until(lambda: bench.store.knobs.beta == 0.9)
    first = bench.store
    bench.restart()
    assert opened.calls[1][:2] == opened.calls[0][:2] and opened.calls[1][1].beta == 0.3
    assert opened.calls[1][2] != opened.calls[0][2], "each run has its own folder"
    assert bench.store is not first and bench.find_store(first.id) is first
    wait_until(lambda: bench.store.newest_step >= 1)
    assert bench.store.record(1).knobs.beta == 0.3


def test_pending_knobs_carry_the_step_that_will_use_them(bench, opened):
    bench.start()
    wait_until(lambda: bench.store.newest_step >= 2)
    bench.pause()
    wait_until(lambda: bench.state == "paused")
    step = max(bench.store.newest_step, bench.runner.phase.step) + 1
    bench.set_knobs({"beta": 0.5, "epsilon": 0.2})
    knobs, pending = bench.knobs_and_pending()
    assert knobs.beta == 0.04
    assert pending == {"beta": {"old": 0.04, "new": 0.5, "step": step}}
    bench.resume()
    wait_until(lambda: bench.store.newest_step > step)
    assert bench.knobs_and_pending()[1] == {}
    assert {event["knob"]: event["new"] for event in bench.store.events()} == {"beta": 0.5}


def test_knobs_steps_and_states_are_told_to_whoever_waits(bench, opened):
    opened.num_steps = 3
    numbers = [bench.news.number]
    bench.start()
    wait_until(lambda: bench.state == "stopped")
    numbers.append(bench.news.number)
    bench.show_recording()
    numbers.append(bench.news.number)
    assert numbers == [0, 1 + 1 + 3 + 1, 7], "begun, running, three steps, stopped; then another run on show"
    opened.gated = True
    bench.start()
    told = bench.news.number
    bench.set_knobs({"beta": 0.5})
    assert bench.news.number > told
    wait_until(lambda: bool(opened.engines))
    bench.stop()


def test_a_bad_knob_is_refused_and_no_part_of_the_proposal_stays(bench):
    bench.start()
    bench.pause()
    with pytest.raises(KnobError, match="epsilon=7"):
        bench.set_knobs({"beta": 0.5, "epsilon": 7})
    assert bench.knobs_and_pending()[1] == {}


def test_commands_without_a_run_are_told_so(bench):
    for command in (bench.pause, bench.resume, bench.stop, lambda: bench.set_knobs({"beta": 0.1})):
        with pytest.raises(ConfigError, match="no run is going on: start one first"):
            command()


def test_step_without_a_run_begins_one_for_exactly_one_step(bench):
    for step in (1, 2, 3):
        bench.step()
        wait_until(lambda step=step: bench.store.newest_step == step and bench.state == "paused")


def test_one_step_is_possible_where_the_run_has_but_one(bench, opened):
    opened.num_steps = 1
    for _ in range(20):
        bench.start(paused_after_one_step=True)
        bench.runner.resume()
        assert bench.runner.join(PATIENCE_S) and bench.store.newest_step == 1


def test_stop_ends_the_run_and_leaves_it_on_show_until_the_recording_is_asked_for(bench, recording):
    bench.start()
    wait_until(lambda: bench.store.newest_step >= 1)
    bench.stop()
    assert bench.runner.join(PATIENCE_S) and bench.state == "stopped"
    assert bench.store is not recording
    bench.show_recording()
    assert bench.store is recording and bench.state == "idle"


def earlier(bench: Workbench, **settings) -> str:
    """Leave a run of some steps in the runs folder, not on show, and return its name."""
    bench.start(**settings)
    wait_until(lambda: bench.store.newest_step >= 3)
    bench.stop()
    assert bench.runner.join(PATIENCE_S)
    folder = bench.store.folder
    bench.show_recording()
    return folder.path.name


def test_an_earlier_run_is_opened_with_its_groups_and_the_recording_is_still_there(bench, recording):
    name = earlier(bench, config={"seed": 7}, knobs={"beta": 0.3})
    assert [run.name for run in bench.runs()] == [name]
    told = bench.news.number
    bench.open(name)
    store = bench.store
    assert (store.source, store.title, store.config.seed, bench.state) == ("replay", "addition", 7, "idle")
    assert bench.news.number == told + 1 and bench.find_store(store.id) is store
    assert store.record(2).knobs.beta == 0.3 and bench.knobs_and_pending() == (store.knobs, {})
    assert bench.recording is recording
    bench.show_recording()
    assert bench.store is recording and bench.find_store(store.id) is store


def test_an_opened_run_begins_again_as_it_began_and_not_as_the_preset(bench, opened, tmp_path):
    bench.start(config={"seed": 7, "max_steps": 30}, knobs={"beta": 0.3})
    wait_until(lambda: bench.store.newest_step >= 1)
    bench.set_knobs({"beta": 0.9})
    wait_until(lambda: bench.store.knobs.beta == 0.9)
    bench.stop()
    assert bench.runner.join(PATIENCE_S)
    name = bench.store.folder.path.name
    earlier(bench, config={"seed": 1})
    bench.open(name)
    assert bench.store.knobs.beta == 0.9
    bench.restart()
    assert opened.calls[2][:2] == opened.calls[0][:2] and opened.calls[2][1].beta == 0.3
    assert bench.store.source == "live" and bench.store.folder.path.name != name
    wait_until(lambda: bench.store.newest_step >= 1)
    assert len(list(tmp_path.iterdir())) == 3


def test_the_run_that_the_server_was_started_on_begins_again_as_well(bench, opened, tmp_path):
    shown = open_run(tmp_path / earlier(bench, config={"seed": 5}))
    other = Workbench(shown, opened, runs_folder=tmp_path, preset="countdown")
    other.restart()
    assert opened.calls[-1][0].seed == 5 and opened.calls[-1][0].task == "addition"
    assert other.close(PATIENCE_S)


def test_while_a_run_is_going_on_no_other_is_opened_nor_even_read(bench, opened, tmp_path, monkeypatch):
    name = earlier(bench)
    bench.start()
    before = everything(bench, opened, tmp_path)
    monkeypatch.setattr("workbench.run.workbench.open_earlier", None)
    with pytest.raises(ConfigError, match="a run is going on: stop it before opening an earlier one"):
        bench.open(name)
    assert everything(bench, opened, tmp_path) == before


def test_a_run_that_was_begun_while_another_was_being_read_stays_on_show(bench, monkeypatch):
    name = earlier(bench)

    def slow(*arguments):
        bench.start()
        return open_earlier(*arguments)

    monkeypatch.setattr("workbench.run.workbench.open_earlier", slow)
    with pytest.raises(ConfigError, match="a run is going on"):
        bench.open(name)
    assert bench.store.source == "live" and bench.runner.is_active


def test_what_cannot_be_opened_is_told_and_changes_nothing(bench, opened, tmp_path):
    name = earlier(bench)
    before = everything(bench, opened, tmp_path)
    for wrong in (f"../{tmp_path.name}/{name}", str(tmp_path / name), "nowhere", "", None):
        with pytest.raises(ConfigError, match="there is no run"):
            bench.open(wrong)
    (tmp_path / name / "metrics.jsonl").write_text("junk\n")
    with pytest.raises(ConfigError, match="line 1 of "):
        bench.open(name)
    assert everything(bench, opened, tmp_path) == before


def test_while_a_run_is_read_pages_are_answered(bench, monkeypatch):
    name, reading, go_on = earlier(bench), threading.Event(), threading.Event()

    def slow(*arguments):
        reading.set()
        assert go_on.wait(PATIENCE_S)
        return open_earlier(*arguments)

    monkeypatch.setattr("workbench.run.workbench.open_earlier", slow)
    thread = threading.Thread(target=bench.open, args=(name,))
    thread.start()
    assert reading.wait(PATIENCE_S)
    assert bench.knobs_and_pending() == (Knobs(beta=0.01), {}) and bench.store.source == "tape"
    go_on.set()
    thread.join()
    assert bench.store.source == "replay"


def test_of_many_that_begin_an_opened_run_again_each_does_or_says_why(bench, opened):
    bench.open(earlier(bench))
    refused = given_at_once(4, bench.restart)
    assert len(opened.calls) - 1 + len(refused) == 4
    assert bench.store.source == "live" and bench.runner.is_active


def test_runs_that_are_opened_are_forgotten_too(bench, recording):
    name = earlier(bench)
    bench.open(name)
    first = bench.store.id
    for _ in range(MAX_STORES):
        bench.open(name)
    assert bench.find_store(first) is None and bench.find_store(bench.store.id) is bench.store
    assert bench.find_store(recording.id) is recording and len(bench._stores) <= MAX_STORES


def test_old_runs_are_forgotten_but_never_the_recording_nor_the_run_on_show(bench, recording):
    bench.start()
    first = bench.store.id
    for _ in range(MAX_STORES + 1):
        bench.restart()
    assert bench.find_store(first) is None
    assert bench.find_store(bench.store.id) is bench.store
    assert bench.find_store(recording.id) is recording
    assert len(bench._stores) <= MAX_STORES


def test_a_failed_run_is_shown_as_failed_and_another_may_be_started(recording, opened, tmp_path):
    def broken(config, board, adapter_folder):
        yield from ()
        raise ValueError("the model is broken")

    bench = Workbench(recording, broken, runs_folder=tmp_path, preset="addition")
    bench.start()
    assert bench.runner.join(PATIENCE_S)
    assert (bench.state, bench.runner.failure.message) == ("failed", "ValueError: the model is broken")
    bench._open_engine = opened
    bench.start()
    wait_until(lambda: bench.store.newest_step >= 1)
    assert bench.close(PATIENCE_S)


def test_without_a_runs_folder_nothing_is_written(recording, opened, tmp_path):
    bench = Workbench(recording, opened, runs_folder=None, preset="addition")
    bench.start()
    assert opened.calls[0][2] is None and bench.store.folder is None
    wait_until(lambda: bench.store.newest_step >= 1)
    assert bench.close(PATIENCE_S) and list(tmp_path.iterdir()) == []


def test_closing_without_a_run_is_quiet(bench):
    assert bench.close()
