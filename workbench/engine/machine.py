"""What the machine can do at its best, found out by a short test when a run begins."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import torch

_PATIENCE_S = 0.015  # for each of the two tests, on the CPU
_REPEATS = 20  # on a GPU
_CPU_SIDE, _CUDA_SIDE = 512, 4096  # of a square product at which the machine is at its best
_CPU_BYTES, _CUDA_BYTES = 2**26, 2**30  # at most, of a copy


@dataclass(frozen=True)
class Machine:
    """Peak rates of arithmetic and of memory traffic, in one precision and with so many threads."""

    flops_per_second: float
    bytes_per_second: float


def measure_machine(device: torch.device, dtype: torch.dtype, num_bytes: int, num_threads: int) -> Machine:
    """Return the best of several square products and of several copies, on the CPU within a tenth of a second.

    `num_bytes` is what a run's weights take: a copy touches as many, so that a model which fits a cache is measured
    against the cache.
    """
    is_cuda = device.type == "cuda"
    side = _CUDA_SIDE if is_cuda else _CPU_SIDE
    num_copied = max(2**16, _CUDA_BYTES if is_cuda else min(num_bytes, _CPU_BYTES)) // 2
    left, right, product = (torch.ones(side, side, device=device, dtype=dtype) for _ in range(3))
    source, target = (torch.ones(num_copied, device=device, dtype=torch.uint8) for _ in range(2))
    best = _best_cuda_s if is_cuda else _best_cpu_s
    with _threads(num_threads):
        product_s = best(lambda: torch.mm(left, right, out=product))
        copy_s = best(lambda: target.copy_(source))
    return Machine(2 * side**3 / product_s, 2 * num_copied / copy_s)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _best_cpu_s(work: Callable[[], object]) -> float:
    """Return the shortest time of as many calls as fit the patience, and of three at least."""
    times: list[float] = []
    ends = time.perf_counter() + _PATIENCE_S
    while len(times) < 3 or time.perf_counter() < ends:
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def _best_cuda_s(work: Callable[[], object]) -> float:
    """Return the shortest time of several calls, by the GPU's own clock."""
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(_REPEATS + 1)]
    work()
    for mark in marks:
        mark.record()
        if mark is not marks[-1]:
            work()
    torch.cuda.synchronize()
    return min(a.elapsed_time(b) for a, b in pairwise(marks)) / 1000
