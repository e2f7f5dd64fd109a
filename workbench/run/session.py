"""A run in a notebook or a script: the same engine as the page's, driven by your own `for` loop."""

import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from workbench.errors import ConfigError
from workbench.run.config import RunConfig
from workbench.run.knobs import KnobBoard, Knobs
from workbench.run.plain import plain_value
from workbench.run.record import StepRecord
from workbench.run.recorder import RunFolder
from workbench.run.store import RunStore

OwnReward = Callable[..., Any]  # async ones return their rewards later


class Session:
    """Trains step by step and keeps the records.

    `reward_funcs` may be one Python function with TRL's signature or several; without it the config's, or the task's,
    are used.
    With `out`, the run is also written to that folder, which `python app.py --run` opens.

    Raises ConfigError for a config that cannot be run, KnobError for a knob value out of range.
    """

    def __init__(
        self,
        config: RunConfig | None = None,
        knobs: Knobs | None = None,
        *,
        reward_funcs: OwnReward | Sequence[OwnReward] | None = None,
        out: str | Path | None = None,
    ) -> None:
        # importing the package stays instant
        from workbench.run.check import check_knobs, check_run, own_rewards  # noqa: PLC0415
        from workbench.tasks.rewards import reward_name  # noqa: PLC0415

        for given, kind in ((config, RunConfig), (knobs, Knobs)):
            if given is not None and not isinstance(given, kind):
                raise ConfigError(f"a Session takes a RunConfig, then Knobs: {given!r:.80} is no {kind.__name__}")
        self.config = config or RunConfig()
        self._reward_funcs = None if reward_funcs is None else own_rewards(reward_funcs)
        check_run(self.config, has_own_rewards=reward_funcs is not None)
        first = knobs or Knobs()
        self.board = KnobBoard(first, check=partial(check_knobs, self.config))
        names = list(map(reward_name, self._reward_funcs or ()))
        folder = None if out is None else RunFolder.create(Path(out), self.config, first, own_rewards=names)
        self.store = RunStore(self.config, first, title=self.config.title, folder=folder, keep=1000)
        self._engine: Iterator[Any] | None = None
        self._failure: BaseException | None = None

    def run(self, num_steps: int | None = None) -> Iterator[StepRecord]:
        """Yield the records of the next `num_steps` steps, or of all that the config's `max_steps` leaves.

        Whatever is raised on the way, an interrupt too, ends the run: to go on then raises RuntimeError.
        """
        num_steps = plain_value(num_steps)
        if num_steps is not None and (not isinstance(num_steps, int) or num_steps < 0):
            raise ConfigError(f"num_steps={num_steps!r} is not allowed: it must be a whole number, or None for all")
        done = 0
        while num_steps is None or done < num_steps:
            record = self._next_record()
            if record is None:
                return
            done += 1
            yield record

    def set(self, **changes: Any) -> None:
        """Change knobs: validated now, all or nothing, and used from the next step on."""
        self.board.propose(**changes)

    @property
    def records(self) -> list[StepRecord]:
        """The records of all steps so far, oldest first; without `out`, of the last 1000."""
        steps = [row["step"] for row in self.store.rows()]
        return [self.store.record(step) for step in (steps if self.store.folder else steps[-1000:])]

    def _next_record(self) -> StepRecord | None:
        if self._failure is not None:
            kind, steps = type(self._failure).__name__, self.store.num_rows
            sentence = f"this run ended after step {steps} with {kind}: make a new Session to train again"
            raise RuntimeError(sentence) from self._failure
        try:
            record = next((event for event in self._events() if isinstance(event, StepRecord)), None)
            if record is not None:
                self.store.append(record)
            return record
        except BaseException as failure:
            self._failure = failure
            raise

    def _events(self) -> Iterator[Any]:
        if self._engine is None:
            from workbench.engine.trainer import train  # noqa: PLC0415 - torch is loaded when training begins

            adapter = self.store.folder.adapter if self.store.folder else None
            self._engine = train(self.config, self.board, reward_funcs=self._reward_funcs, adapter_folder=adapter)
            weakref.finalize(self, self._engine.close)  # before the interpreter takes torch away from it
        return self._engine
