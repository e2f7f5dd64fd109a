"""The thread that makes, keeps and writes the records of steps while the training thread goes on with the next one.

Most of a step needs no Python, and on a card no processor: what a record takes need not be waited for.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from workbench.run.record import StepRecord


class Scribe:
    """Keeps one record at a time, in order. It belongs to the thread that calls it."""

    def __init__(self, keep: Callable[[StepRecord], None]) -> None:
        self._keep = keep
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recording")
        self._going_on: Future[None] | None = None

    def take(self, make_record: Callable[[], StepRecord]) -> None:
        """Have a record made and kept, once the one before is; raise what went wrong with that one."""
        self.finish()
        self._going_on = self._thread.submit(lambda: self._keep(make_record()))

    def finish(self) -> None:
        """Wait for what was taken; raise what went wrong with it."""
        going_on, self._going_on = self._going_on, None
        if going_on is not None:
            going_on.result()

    def close(self) -> None:
        """Wait for the thread to end."""
        self._thread.shutdown()
