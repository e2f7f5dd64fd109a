"""What changed since a page last asked: state, new rows, knob events. Small, however long the run is."""

from dataclasses import asdict
from statistics import median
from typing import Any

from orjson import Fragment

from workbench.run.rows import shown
from workbench.run.runner import Failure
from workbench.run.store import RunStore
from workbench.run.workbench import Workbench

_COSTLY = {"num_generations", "max_completion_length", "max_num_gen_batches", "num_iterations"}
MOST_ROWS = 1000  # of one reply; whoever wants more asks again from `next`


def page_delta(workbench: Workbench, run: str | None, since: int, events_since: int) -> dict[str, Any]:
    """Return the state of the run on show, and its rows and events from the given numbers on.

    A page that knows another run gets everything from the beginning: at most `MOST_ROWS` rows a time.
    """
    store = workbench.store
    if run != store.id:
        since = events_since = 0
    rows = store.rows(since, MOST_ROWS)
    return _delta(workbench, store, events_since, since + len(rows)) | {"rows": [shown(row) for row in rows]}


def tail_delta(workbench: Workbench, run: str | None, since: int, events_since: int) -> dict[str, Any]:
    """Return the same with the newest rows alone, as JSON that all pages share.

    `first` is the number of the first row in the reply; the rows before it are to be had as curves from
    `RunStore.history` and one by one. `first_step` is the run's, and `news` what to wait for the next of.
    """
    news, store = workbench.news.number, workbench.store
    if run != store.id:
        since = events_since = 0
    first, rows = store.sent_rows(since)
    delta = _delta(workbench, store, events_since, first + len(rows)) | {"rows": [Fragment(row) for row in rows]}
    return delta | {"first": first, "first_step": store.first_step, "news": news}


def most_varied_group(store: RunStore) -> int:
    """Return the number of the group of the newest step whose rewards differ most: the one that a page opens on."""
    spreads = [group["std"] or 0.0 for group in store.rows(-1)[0]["groups"]]
    return spreads.index(max(spreads))


def _delta(workbench: Workbench, store: RunStore, events_since: int, end: int) -> dict[str, Any]:
    runner, events = workbench.runner, store.events(events_since)
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
        "folder": str(store.folder.path) if store.folder is not None and store.source != "tape" else None,
        "opened": store.source == "replay" and store is not workbench.recording,
        "state": workbench.state,
        "phase": asdict(phase) if phase is not None else None,
        "error": _error(runner.failure if runner is not None else None),
        "num_steps": _num_steps(store),
        "next": end,
        "events": events,
        "next_event": events_since + len(events),
        "knobs": asdict(knobs),
        "pending": pending,
        "focus": store.focus,
        **_speed(store),
    }


def _device(store: RunStore) -> str | None:
    newest = store.rows(-1)
    return newest[0]["device"] if newest else None


def _num_steps(store: RunStore) -> int:
    return store.config.max_steps if store.source == "live" else store.newest_step


def _error(failure: Failure | None) -> dict[str, Any] | None:
    return asdict(failure) if failure is not None else None


def _alike(rows: list[dict[str, Any]], events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows since a knob last changed what a step costs; the newest one at least."""
    since = max((event["step"] for event in events if event["knob"] in _COSTLY), default=0)
    return [row for row in rows if row["step"] >= since] or rows[-1:]


def _speed(store: RunStore) -> dict[str, float | None]:
    """Return the recent steps' time, tokens per second, and the seconds left; None before there is a step."""
    recent = _alike(store.rows(-8), store.events())
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
