"""Parts of one batch computed at the same time, one thread each: torch lets go of Python's lock while it computes."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

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

    pool = _pool(num_workers - 1)
    others = [pool.submit(work, part) for part in parts[1:]]
    results = [function(parts[0])]
    # the caller works too: it takes from the end whatever no thread has begun
    taken = {i: function(parts[i]) for i in range(len(parts) - 1, 0, -1) if others[i - 1].cancel()}
    return results + [taken[i] if i in taken else others[i - 1].result() for i in range(1, len(parts))]


@cache
def _pool(num_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(num_threads, thread_name_prefix="batch-part")
