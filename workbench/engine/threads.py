"""How a run shares out the CPU's cores: torch's own threads within an operation, or parts of a batch at a time."""

import os
import time

import torch

from workbench.engine.parallel import in_parallel
from workbench.engine.policy import Policy
from workbench.run.config import RunConfig

_PRODUCTS = 32  # of the test's work
_REPEATS = 3  # of each number of threads, the best of which counts
_NO_SLOWER = 1.05  # a thread that gains nothing now costs nothing, and gains when its core is free again


def use_threads(config: RunConfig, policy: Policy) -> None:
    """Set how many threads torch has within an operation, and how many parts of a batch `policy` scores at a time.

    In a tiny model an operation is over before a second thread has begun, and each of them waits for all threads: with
    other work on the cores, two threads made an update several times slower than one. So there an operation gets one
    thread, and the others work on other parts of the batch. `config.num_threads` is how many in all; 0 lets a test of
    a few hundredths of a second decide.
    """
    if not policy.is_tiny:
        torch.set_num_threads(config.num_threads or os.cpu_count() or 1)
        return
    torch.set_num_threads(1)
    if "parallel_parts" in policy.fast_paths:
        policy.num_workers = config.num_threads or count_useful_threads(os.cpu_count() or 1)


def use_more_threads(config: RunConfig, policy: Policy) -> None:
    """Let the test decide again, where it found fewer threads of use than there are cores. No number depends on it."""
    limit = os.cpu_count() or 1
    if "parallel_parts" in policy.fast_paths and not config.num_threads and policy.num_workers < limit:
        policy.num_workers = max(policy.num_workers, count_useful_threads(limit))


def count_useful_threads(limit: int) -> int:
    """Return how many threads, at most `limit`, finish a work of many small products no later than fewer do."""
    best, shortest = 1, _seconds(1)
    number = 2
    while number <= min(limit, _PRODUCTS):
        seconds = _seconds(number)
        if seconds > _NO_SLOWER * shortest:
            break
        best, shortest, number = number, min(seconds, shortest), 2 * number
    return best


def _seconds(num_threads: int) -> float:
    """Return the shortest time in which so many threads, at most `_PRODUCTS`, finish a work of the same size."""
    x, weight = torch.ones(256, 128), torch.ones(128, 384)

    def work(times: int) -> None:
        for _ in range(times):
            (x @ weight).mul_(0.5)

    shares = [_PRODUCTS // num_threads] * num_threads
    times = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        in_parallel(work, shares, num_threads)
        times.append(time.perf_counter() - began)
    return min(times)
