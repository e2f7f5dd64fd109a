"""What the page talks to: the run on show, the commands that change it, and the knobs.

One training thread at a time. Commands may come from many tabs at once; each either does what it says or raises
ConfigError or KnobError with one sentence and changes nothing. Only a restart that waits in vain for the run to stop
has stopped it.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from threading import RLock
from typing import Any

from workbench.errors import ConfigError
from workbench.run.check import check_knobs, check_run
from workbench.run.config import RunConfig
from workbench.run.knobs import KnobBoard, Knobs, knob_differences
from workbench.run.library import EarlierRun, first_settings, list_runs, open_earlier
from workbench.run.news import News
from workbench.run.presets import preset_settings
from workbench.run.record import StepRecord
from workbench.run.recorder import RunFolder, new_run_path
from workbench.run.runner import Engine, Runner, State
from workbench.run.store import RunStore

OpenEngine = Callable[[RunConfig, KnobBoard, Path | None], Engine]
MAX_STORES = 8  # runs that this server showed and whose groups a tab that has not noticed the new run may still ask for


class Workbench:
    """Shows `shown` (a recording) until a run is started; `open_engine` makes the iterator that a run drives.

    `preset` is what `start` begins unless it is told another.
    """

    def __init__(self, shown: RunStore, open_engine: OpenEngine, *, runs_folder: Path | None, preset: str) -> None:
        self.news = News()
        self._open_engine = open_engine
        self.runs_folder = runs_folder
        self.preset = preset
        self._lock = RLock()  # held by whoever changes what is below; a reader looks at each once
        self._recording = shown
        self._store = shown
        self._stores = {shown.id: shown}
        self._runner: Runner | None = None
        self._board = KnobBoard(shown.knobs)
        self._started: tuple[RunConfig, Knobs] | None = None

    # --- what is on show -------------------------------------------------------------------------------------------

    @property
    def store(self) -> RunStore:
        return self._store

    @property
    def recording(self) -> RunStore:
        """What was on show before anything was trained."""
        return self._recording

    @property
    def runner(self) -> Runner | None:
        return self._runner

    @property
    def state(self) -> State:
        runner = self._runner
        return runner.state if runner is not None else "idle"

    def find_store(self, run: str) -> RunStore | None:
        return self._stores.get(run)

    def runs(self) -> list[EarlierRun]:
        """Return the runs that the runs folder holds, newest first."""
        return list_runs(self.runs_folder)

    def memory_of_others(self, store: RunStore) -> dict[str, Mapping[str, int]]:
        """Return what runs of other methods on the same model held at their newest step, by method."""
        others = [s for s in list(self._stores.values()) if s.config.model == store.config.model]
        newest = {s.config.method: s.memory for s in others if s.config.method != store.config.method}
        return {method: memory for method, memory in newest.items() if memory}

    def knobs_and_pending(self) -> tuple[Knobs, dict[str, dict[str, Any]]]:
        """Return the knobs in use and the proposed changes, each with the step that will be the first to use it."""
        with self._lock:
            runner, store, board = self._runner, self._store, self._board
        if runner is None or not runner.is_active:
            return store.knobs, {}
        taken, proposed = board.read()
        phase = runner.phase
        next_step = max(store.newest_step, phase.step if phase else 0) + 1
        changes = knob_differences(taken, proposed)
        return taken, {name: {"old": old, "new": new, "step": next_step} for name, (old, new) in changes.items()}

    # --- commands --------------------------------------------------------------------------------------------------

    def start(
        self,
        preset: str | None = None,
        config: dict[str, Any] | None = None,
        knobs: dict[str, Any] | None = None,
        *,
        paused_after_one_step: bool = False,
    ) -> None:
        """Begin a run of `preset` with `config` and `knobs` laid over it, unless one is going on already."""
        settings, values = preset_settings(preset or self.preset)
        run_config = RunConfig.from_mapping(settings | (config or {}))
        first = Knobs().changed(values | (knobs or {}))
        check_run(run_config)
        check_knobs(run_config, first)
        self._begin_alone(run_config, first, paused_after_one_step=paused_after_one_step)

    def restart(self) -> None:
        """Stop the run, or take the earlier one on show, and begin it again: same config and seed, its first knobs."""
        shown = self._store
        if shown.source == "replay" and shown.folder is not None:
            return self._begin_alone(*first_settings(shown.folder))
        with self._lock:
            if self._started is None:
                raise ConfigError("nothing has been trained yet: start a run first")
            if self._runner is not None:
                self._runner.stop()
                if not self._runner.join(timeout_s=30.0):
                    raise ConfigError("the run has not stopped yet: try again in a moment")
            self._begin(*self._started)

    def pause(self) -> None:
        self._running().pause()

    def resume(self) -> None:
        self._running().resume()

    def step(self) -> None:
        """Run one step and pause; begin a run for it if none is going on."""
        with self._lock:
            if self._runner is None or not self._runner.is_active:
                self.start(paused_after_one_step=True)
            else:
                self._runner.step()

    def stop(self) -> None:
        self._running().stop()

    def set_knobs(self, changes: dict[str, Any]) -> None:
        """Propose knob changes; the next step uses them."""
        with self._lock:
            self._running()
            self._board.propose(**changes)
        self.news.tell()

    def show_recording(self) -> None:
        with self._lock:
            if self._runner is not None and self._runner.is_active:
                raise ConfigError("a run is going on: stop it before showing the recording")
            self._runner, self._store = None, self._recording
        self.news.tell()

    def open(self, name: str) -> None:
        """Show an earlier run, named by its folder in the runs folder, unless one is going on."""
        self._refuse_to_open()
        store = open_earlier(self.runs_folder, name)  # takes a second where it is long: nobody waits for that
        with self._lock:
            self._refuse_to_open()
            self._hold(store)
            self._runner, self._store = None, store
        self.news.tell()

    def close(self, timeout_s: float | None = None) -> bool:
        """Stop the training thread; return True if it ended in time: by default 5 s, none while it is loading."""
        runner = self._runner
        if runner is None:
            return True
        runner.stop()
        default = 0.0 if runner.state == "loading" else 5.0
        return runner.join(default if timeout_s is None else timeout_s)

    def _running(self) -> Runner:
        runner = self._runner
        if runner is None or not runner.is_active:
            raise ConfigError("no run is going on: start one first")
        return runner

    def _refuse_to_open(self) -> None:
        if self._runner is not None and self._runner.is_active:
            raise ConfigError("a run is going on: stop it before opening an earlier one")

    def _begin_alone(self, config: RunConfig, knobs: Knobs, *, paused_after_one_step: bool = False) -> None:
        with self._lock:
            if self._runner is not None and self._runner.is_active:
                raise ConfigError("a run is going on: stop it before starting another")
            self._begin(config, knobs, paused_after_one_step=paused_after_one_step)

    def _begin(self, config: RunConfig, knobs: Knobs, *, paused_after_one_step: bool = False) -> None:
        folder = None
        if self.runs_folder is not None:
            folder = RunFolder.create(new_run_path(self.runs_folder, config.title), config, knobs)
        self._board = KnobBoard(knobs, check=partial(check_knobs, config))
        self._store = RunStore(config, knobs, title=config.title, folder=folder)
        self._hold(self._store)
        engine = self._open_engine(config, self._board, folder.adapter if folder else None)
        self._started = (config, knobs)
        self._runner = Runner(engine, partial(self._publish, self._store), on_state=self.news.tell)
        if paused_after_one_step:
            self._runner.step()  # before the thread starts, or a quick engine is past its first step
        self._runner.start()
        self.news.tell()

    def _hold(self, store: RunStore) -> None:
        """Keep a run for whoever asks for its groups, and let the oldest go where there are too many."""
        self._stores[store.id] = store
        while len(self._stores) > MAX_STORES:
            del self._stores[next(run for run in self._stores if run != self._recording.id)]

    def _publish(self, store: RunStore, record: StepRecord) -> None:
        store.append(record, beside=True)
        self.news.tell()
