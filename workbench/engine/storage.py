"""How many bytes tensors hold, measured on what torch has allocated for them."""

from collections.abc import Iterable, Iterator

from torch import Tensor


def storages_of(tensors: Iterable[Tensor]) -> dict[tuple[str, int], int]:
    """Return the bytes of each storage that the tensors are kept in, by device and address: views share one."""
    found = {}
    for tensor in tensors:
        storage = tensor.untyped_storage()
        found[str(tensor.device), storage.data_ptr()] = storage.nbytes()
    return found


def num_bytes(tensors: Iterable[Tensor]) -> int:
    """Return the bytes that the tensors hold, each storage counted once.

    >>> import torch
    >>> whole = torch.zeros(4, 4)
    >>> num_bytes([whole, whole[0], torch.zeros(2)])
    72
    """
    return sum(storages_of(tensors).values())


def gradients_of(weights: Iterable[Tensor]) -> Iterator[Tensor]:
    """Yield the gradients that there are."""
    return (weight.grad for weight in weights if weight.grad is not None)
