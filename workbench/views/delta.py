"""What changed since a page last asked: state, new rows, knob events. Small: it is asked for several times a second."""

from dataclasses import asdict
from statistics import median
from typing import Any

from workbench.run.runner import Failure
from workbench.run.store import RunStore
from workbench.run.workbench import Workbench


def page_delta(workbench: Workbench, run: str | None, since: int, events_since: int) -> dict[str, Any]:
    """Return the state of the run on show, and its rows and events from the given numbers on.

    A page that knows another run, or more rows than there are, gets everything from the beginning.
    """
    store, runner = workbench.store, workbench.runner
    if run != store.id:
        since = events_since = 0
    rows, events = store.rows(since), store.events(events_since)
    knobs, pending = workbench.knobs_and_pending()
    phase = runner.phase if runner is not None else None
    return {
        "run": store.id,
        "source": store.source,
        "title": store.title,
        "model": store.config.model,
        "device": _device(store),
        "seed": store.config.seed,
        "method": store.config.method,
        "bug": None if store.config.bug == "none" else store.config.bug,
        "folder": str(store.folder.path) if store.folder is not None and store.source == "live" else None,
        "state": workbench.state,
        "phase": asdict(phase) if phase is not None else None,
        "error": _error(runner.failure if runner is not None else None),
        "num_steps": _num_steps(store),
        "rows": [_without_memory(row) for row in rows],
        "next": since + len(rows),
        "events": events,
        "next_event": events_since + len(events),
        "knobs": asdict(knobs),
        "pending": pending,
        "focus": store.focus,
        **_speed(store),
    }


def _without_memory(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row without what hardly changes from step to step: the figure of the memory has the newest."""
    return {name: value for name, value in row.items() if name != "memory"}


def _device(store: RunStore) -> str | None:
    newest = store.rows(-1)
    return newest[0]["device"] if newest else None


def _num_steps(store: RunStore) -> int:
    return store.config.max_steps if store.source == "live" else store.newest_step


def _error(failure: Failure | None) -> dict[str, str] | None:
    return asdict(failure) if failure is not None else None


def _speed(store: RunStore) -> dict[str, float | None]:
    """Return the recent steps' time, tokens per second, and the seconds left; None before there is a step."""
    recent = store.rows(-8)
    times = [row["metrics"]["step_time"] for row in recent if row["metrics"].get("step_time")]
    if not times:
        return {"step_time": None, "tokens_per_second": None, "eta": None}
    tokens = sum(row["tokens"] for row in recent)
    steps_left = max(0, _num_steps(store) - store.newest_step)
    return {
        "step_time": median(times),
        "tokens_per_second": tokens / sum(times),
        "eta": median(times) * steps_left if store.source == "live" else None,
    }
