"""An event loop in a thread of its own, so that async reward functions run wherever the caller is."""

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class EventLoopThread:
    """One event loop for a whole run: clients that async reward functions keep open stay usable from step to step.

    A notebook's own loop is already running in its thread, which is why the loop is not the caller's.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._is_closing = False
        self._thread = threading.Thread(target=self._serve, name="async-rewards", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what the coroutine returns; what it raises is raised here."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _serve(self) -> None:
        """Run the loop until it is closed.

        A task that ends with one of the two stops the loop, before whoever awaits the task is told: it has to go on.
        """
        while not self._is_closing:
            with suppress(SystemExit, KeyboardInterrupt):
                self._loop.run_forever()

    def close(self) -> None:
        """Stop the loop and its thread."""
        self._is_closing = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
