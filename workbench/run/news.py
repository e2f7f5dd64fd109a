"""Wakes whoever waits for something new: a finished step, another state, a knob. Not for progress within a step."""

from collections.abc import Callable
from threading import Lock


class News:
    """`number` counts what was told so far. Any thread may tell; listeners are called on the teller's thread."""

    def __init__(self) -> None:
        self.number = 0
        self._lock = Lock()  # guards both: many threads tell and listen
        self._listeners: list[Callable[[], None]] = []

    def tell(self) -> None:
        with self._lock:
            self.number += 1
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def listen(self, listener: Callable[[], None]) -> None:
        with self._lock:
            self._listeners.append(listener)

    def unlisten(self, listener: Callable[[], None]) -> None:
        with self._lock:
            self._listeners.remove(listener)
