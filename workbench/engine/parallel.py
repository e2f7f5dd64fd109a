"""Parts of one batch computed at the same time, one thread each: torch lets go of Python's lock while it computes."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

import torch

Part = TypeVar("Part")
Result = TypeVar("Result")


def in_parallel(function: Callable[[Part], Result], parts: Sequence[Part], num_workers: int) -> list[Result]:
    """Return `function(part)` for each part, in their order, at most `num_workers` of them at a time.

    With other work on the cores this degrades gently, unlike torch's own threads, which wait for each other after
    every operation. An exception of any part is raised. Gradients are on or off as they are for the caller.
    """
    if num_workers == 1 or len(parts) == 1:
        return [function(part) for part in parts]
    has_gradients = torch.is_grad_enabled()

    def work(part: Part) -> Result:
        with torch.set_grad_enabled(has_gradients):
            return function(part)

    pool = _pool(num_workers - 1, "batch-part")
    others = [pool.submit(work, part) for part in parts[1:]]
    results = [function(parts[0])]
    # the caller works too: it takes from the end whatever no thread has begun
    taken = {i: function(parts[i]) for i in range(len(parts) - 1, 0, -1) if others[i - 1].cancel()}
    return results + [taken[i] if i in taken else others[i - 1].result() for i in range(1, len(parts))]


class Background:
    """Work that goes on while the caller does something else."""

    def __init__(self, futures: Sequence[Future[Any]]) -> None:
        self._futures = futures

    def is_over(self, *, within: float) -> bool:
        """Return whether all of it is done, waiting for at most so many seconds."""
        return not wait(self._futures, timeout=within).not_done

    def begin_no_more(self) -> None:
        """Leave out what has not begun."""
        for future in self._futures:
            future.cancel()

    def results(self) -> list[Any]:
        """Return each part's result, in their order, once it is done. An exception of any part is raised."""
        return [future.result() for future in self._futures]


@contextmanager
def in_background(function: Callable[[Part], Any], parts: Sequence[Part], num_workers: int) -> Iterator[Background]:
    """Begin with `function(part)` for each part, at most `num_workers` at a time. At the end wait for them."""
    pool = _pool(num_workers, "sampled-part")
    futures = [pool.submit(function, part) for part in parts]
    try:
        yield Background(futures)
    finally:
        wait([future for future in futures if not future.cancel()])


@cache
def _pool(num_threads: int, name: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(num_threads, thread_name_prefix=name)
