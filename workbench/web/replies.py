"""What pages ask for again and again, as bytes that are made once for all of them; and waiting for something new."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock

import orjson
from orjson import Fragment

from workbench.errors import ConfigError
from workbench.run.news import News
from workbench.run.store import RunStore
from workbench.run.workbench import Workbench
from workbench.views.delta import most_varied_group, tail_delta
from workbench.views.group import page_group
from workbench.views.stages import page_timing

HOLD_S = (
    1.0  # an answer is held back so long while there is nothing new; a browser has six connections for all its tabs
)
PHASE_S = 0.3  # the same while a slow step is on its way: its progress is worth an answer
SLOW_STEP_S = 1.0


class Kept:
    """The newest answers by what was asked. Any thread may ask; two that ask at once may both make the answer."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()  # guards _answers
        self._answers: OrderedDict[Hashable, bytes] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """Return the answer to `key`, made now if it is new."""
        with self._lock:
            found = self._answers.get(key)
        answer = make() if found is None else found
        with self._lock:
            self._answers[key] = answer
            self._answers.move_to_end(key)
            while len(self._answers) > self._most:
                self._answers.popitem(last=False)
        return answer


@dataclass(frozen=True)
class Question:
    """What a page holds: run, number of rows and events, number of the newest news; and the group it looks at.

    A page that `rested` left out steps that came too fast for it: it waits for the next and shows no old one as new.
    """

    run: str | None
    since: int
    events: int
    news: int
    rested: bool
    progress: bool  # is an answer wanted when a step has come further?
    group: int | None  # of the newest step; −1: the most varied; None: none is wanted


class Replies:
    """The answers about one workbench that many pages share."""

    def __init__(self, workbench: Workbench) -> None:
        self._workbench = workbench
        self._deltas, self._groups, self._curves = Kept(8), Kept(32), Kept(8)

    async def delta(self, question: Question) -> bytes | None:
        """Return what is new as soon as there is something new; None if nothing was for a while."""
        bench = self._workbench
        is_slow = self._is_slow()
        shows_progress = question.progress and is_slow
        waits_for_next = question.rested and bench.state == "running" and not is_slow
        seen = bench.news.number if waits_for_next else question.news
        # The page may show a run of the server before this one, whose news had numbers of their own.
        is_other_run = question.run is not None and question.run != bench.store.id
        if not is_other_run:
            await told(bench.news, seen, PHASE_S if shows_progress else HOLD_S)
        if bench.news.number == question.news and not shows_progress and not is_other_run:
            return None
        phase = bench.runner.phase if bench.runner is not None else None
        return self._deltas.get((question, bench.news.number, phase), lambda: self._delta(question))

    def group(self, store: RunStore, step: int, group: int) -> bytes:
        """Return one group of one step; raise LookupError if there is none, ConfigError if its file is damaged."""

        def make() -> bytes:
            bug = None if store.config.bug == "none" else store.config.bug
            record = page_group(store.id, store.record(step), group, store.config.method, bug)
            return orjson.dumps(record | {"timing": page_timing(store, step)})

        return self._groups.get((store.id, step, group), make)

    def curves(self, store: RunStore, names: tuple[str, ...]) -> bytes:
        """Return the curves of the rows before the newest."""
        end = store.num_folded
        return self._curves.get((store.id, end, names), lambda: orjson.dumps(store.history(names)))

    def _is_slow(self) -> bool:
        """Is a step on its way that takes so long that its progress is worth an answer?"""
        newest = self._workbench.store.rows(-1)
        takes_s = newest[0]["metrics"].get("step_time") or 0.0 if newest else HOLD_S
        return self._workbench.state == "loading" or (self._workbench.state == "running" and takes_s >= SLOW_STEP_S)

    def _delta(self, question: Question) -> bytes:
        store = self._workbench.store
        delta = tail_delta(self._workbench, question.run, question.since, question.events)
        if question.group is not None and delta["rows"]:
            group = question.group if question.group >= 0 else most_varied_group(store)
            with suppress(LookupError, ConfigError):
                delta["record"] = Fragment(self.group(store, store.newest_step, group))
        return orjson.dumps(delta)


async def told(news: News, seen: int, timeout_s: float) -> None:
    """Wait until there is news after number `seen`, but no longer than `timeout_s` seconds."""
    loop, arrived = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        loop.call_soon_threadsafe(arrived.set)  # the teller is on another thread

    news.listen(wake)
    try:
        if news.number == seen:
            await asyncio.wait_for(arrived.wait(), timeout_s)
    except TimeoutError:
        pass
    finally:
        news.unlisten(wake)
