"""How much of a core each page may spend on drawing: a run on the CPU needs the cores more than those who watch it.

Slow steps are drawn all the same, for more than that (`restOf` in poll.js).
"""

import time
from collections.abc import Callable
from threading import Lock

from workbench.run.workbench import Workbench

BUSY_SHARE = 0.015  # of a core, for all pages of a machine while it trains: browsers then spend half as much again
FREE_SHARE = 0.5  # the same where nothing is trained, or on a GPU
GONE_S = 15.0  # a page that has not asked for so long is closed or hidden: none rests longer than 10


class Onlookers:
    """The pages that ask for news, by the machine they are on. Any thread may ask."""

    def __init__(self, workbench: Workbench, clock: Callable[[], float] = time.monotonic) -> None:
        self._workbench = workbench
        self._clock = clock
        self._lock = Lock()  # guards _asked
        self._asked: dict[tuple[str, str], float] = {}  # when each (machine, page) did so last

    def share(self, machine: str, page: str) -> float:
        """Return what `page` may spend from now on: an equal part of what all pages on its machine may.

        Whoever asks without a page's name is none and is not counted.
        """
        now = self._clock()
        with self._lock:
            if page:
                self._asked[machine, page] = now
            self._asked = {key: asked for key, asked in self._asked.items() if now - asked < GONE_S}
            num_pages = sum(where == machine for where, _ in self._asked)
        return (BUSY_SHARE if self._trains_on_cpu() else FREE_SHARE) / max(1, num_pages)

    def _trains_on_cpu(self) -> bool:
        newest = self._workbench.store.rows(-1)
        is_on_gpu = bool(newest) and newest[0]["device"].startswith("cuda")
        return self._workbench.state == "running" and not is_on_gpu
