"""The thread that drives an engine: play, pause, one step, stop. It is given an iterator and never imports torch."""

import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from workbench.errors import ConfigError
from workbench.run.record import Finished, Progress, StepRecord
from workbench.run.scribe import Scribe

State = Literal["idle", "loading", "running", "paused", "stopped", "failed"]
Engine = Iterator[Progress | StepRecord | Finished]


@dataclass(frozen=True)
class Failure:
    """Why a run ended: one sentence, and the traceback for whoever wants to mend it, where it is not a setting's."""

    message: str
    detail: str
    is_setting: bool = False


class Runner:
    """Calls `next` on an engine while it may. Pausing is not calling it, so it takes effect between two tokens.

    `on_record` receives each finished step, in order, on a thread beside the engine's, and none is missing when a pause
    or the end is told; `on_state` is called on the engine's thread after each change of state. Commands return at once;
    `join` waits.
    """

    def __init__(
        self, engine: Engine, on_record: Callable[[StepRecord], None], on_state: Callable[[], None] = lambda: None
    ) -> None:
        self._engine = engine
        self._scribe, self._on_state = Scribe(on_record), on_state
        self._changed = threading.Condition()  # guards the four fields below; notified when a command arrives
        self._state: State = "loading"
        self._command: Literal["run", "one step", "pause", "stop"] = "run"
        self._phase: Progress | None = None
        self._failure: Failure | None = None
        self._thread = threading.Thread(target=self._drive, name="training")

    @property
    def state(self) -> State:
        return self._state

    @property
    def phase(self) -> Progress | None:
        return self._phase

    @property
    def failure(self) -> Failure | None:
        return self._failure

    @property
    def is_active(self) -> bool:
        """True while the engine may still make steps."""
        return self._state in ("loading", "running", "paused")

    def start(self) -> None:
        self._thread.start()

    def resume(self) -> None:
        self._give("run")

    def step(self) -> None:
        """Run to the end of the step that is in progress, or of the next one, then pause."""
        self._give("one step")

    def pause(self) -> None:
        self._give("pause")

    def stop(self) -> None:
        self._give("stop")

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for the thread; return True if it has ended."""
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _give(self, command: Literal["run", "one step", "pause", "stop"]) -> None:
        with self._changed:
            if self._command != "stop":
                self._command = command
            self._changed.notify_all()

    def _drive(self) -> None:
        try:
            self._run_engine()
        except BaseException as error:  # the one place where an engine's error is kept, to be shown; exit() is one too
            self._end("failed", Failure(_sentence(error), traceback.format_exc(), isinstance(error, ConfigError)))
        else:
            self._end("stopped")

    def _run_engine(self) -> None:
        try:
            while self._may_go_on():
                event = next(self._engine, None)
                if event is None:
                    break
                self._take(event)
            self._scribe.finish()
        finally:
            close = getattr(self._engine, "close", None)
            if close is not None:
                close()
            self._scribe.close()

    def _take(self, event: Progress | StepRecord | Finished) -> None:
        if isinstance(event, Progress):
            self._phase = event
            return
        self._scribe.take(event.record if isinstance(event, Finished) else lambda: event)
        with self._changed:
            if self._command == "one step":
                self._command = "pause"

    def _may_go_on(self) -> bool:
        """Block while paused; return False once stopped."""
        if self._command == "pause":
            self._scribe.finish()
        with self._changed:
            while self._command == "pause":
                self._enter("paused")
                self._changed.wait()
            if self._command == "stop":
                return False
            is_loading = self._phase is None or self._phase.stage == "load"
            self._enter("loading" if is_loading else "running")
            return True

    def _enter(self, state: State) -> None:
        if state != self._state:
            self._state = state
            self._on_state()

    def _end(self, state: State, failure: Failure | None = None) -> None:
        with self._changed:
            self._failure, self._phase = failure, None
            self._enter(state)


def _sentence(error: BaseException) -> str:
    """Return an error's first line, after its kind where it is none of our own: of exit(3) the "3" says nothing."""
    kind, lines = type(error).__name__, str(error).strip().splitlines()
    if not lines:
        return kind
    return lines[0] if type(error).__module__.startswith("workbench.") else f"{kind}: {lines[0]}"
