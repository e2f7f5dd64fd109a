"""Where a step's time goes: seconds of work by stage, without the time a paused run waited."""

import time

import torch


class Clock:
    """`lap(stage)` adds the time since the last lap to that stage; between `stop` and `start` no time is counted."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._seconds: dict[str, float] = {}
        self._since = time.perf_counter()
        self._held = 0.0

    def start(self) -> None:
        self._since = time.perf_counter()

    def stop(self) -> None:
        self._held += time.perf_counter() - self._since

    def lap(self, stage: str) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        self.stop()
        self._seconds[stage] = self._seconds.get(stage, 0.0) + self._held
        self._held = 0.0
        self.start()

    def read(self) -> dict[str, float]:
        return dict(self._seconds)
