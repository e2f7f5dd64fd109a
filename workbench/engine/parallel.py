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

    return list(_pool(num_workers).map(work, parts))


@cache
def _pool(num_workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(num_workers, thread_name_prefix="batch-part")
