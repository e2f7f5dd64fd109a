"""A GPU that is not there: tensors on the CPU that count as a card's, and raise as there where devices are mixed.

It shows what a card would refuse: an operation on tensors of both devices, a tensor read as NumPy's, a generator of the
other device, a look at the device while a graph is captured. Of a card's kernels, streams, memory and speed it shows
nothing. A tensor's place is a mark on its storage, which views, slices and parameters share.
"""

import contextlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from workbench.engine.lean import replayed

CARD = torch.device("cuda", 0)
_AS_NUMPY = (Tensor.numpy, Tensor.__array__)
_BETWEEN_DEVICES = {torch.ops.aten.copy_.default}
_INDEXED = {torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default, torch.ops.aten.index_put.default}
_LOOKS = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default}


_CPU_GENERATOR = torch.Generator


class _Generator(_CPU_GENERATOR):
    def __new__(cls, device: Any = "cpu") -> "_Generator":
        made = super().__new__(cls)
        made.is_on_card = _is_card(device)
        return made

    def __init__(self, device: Any = "cpu") -> None:
        self.is_on_card: bool


def is_on_card(tensor: Tensor) -> bool:
    return getattr(tensor.untyped_storage(), "is_on_card", False)


def _put(tensor: Tensor, on_card: bool) -> Tensor:
    tensor.untyped_storage().is_on_card = on_card
    return tensor


def _is_card(device: Any) -> bool:
    return device is not None and torch.device(device).type == "cuda"


def _tensors(values: Any) -> list[Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, Tensor)]


class _Guard(TorchDispatchMode):
    """Below autograd: refuses what a card would, and gives each new tensor the place of those it is made from."""

    def __init__(self) -> None:
        super().__init__()
        self.makes_on_card = False  # where a tensor is made from none
        self.is_capturing = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = _tensors((args, kwargs))
        on_card = any(is_on_card(tensor) for tensor in given)
        self._check_places(func, args, given, on_card)
        if self.is_capturing and func in _LOOKS:
            raise RuntimeError(f"operation not permitted when stream is capturing: {func}")
        with torch._C.DisableTorchFunction():
            result = func(*args, **(kwargs or {}))
        known = {tensor.untyped_storage()._cdata for tensor in given}
        new = [tensor for tensor in _tensors(result) if tensor.untyped_storage()._cdata not in known]
        for tensor in new:
            _put(tensor, on_card if given else self.makes_on_card)
        return result

    @contextlib.contextmanager
    def making(self, on_card: bool) -> Iterator[None]:
        """Within it what is made from no tensor is made there."""
        before, self.makes_on_card = self.makes_on_card, on_card
        try:
            yield
        finally:
            self.makes_on_card = before

    def _check_places(self, func: Any, args: Any, given: list[Tensor], on_card: bool) -> None:
        if func in _BETWEEN_DEVICES or not on_card:
            return
        others = given
        if func in _INDEXED and is_on_card(args[0]):  # indices may be on the CPU
            others = [args[0], *_tensors(args[2:])]
        if any(tensor.dim() > 0 and not is_on_card(tensor) for tensor in others):
            raise RuntimeError(f"Expected all tensors to be on the same device, but found cuda:0 and cpu: {func}")


class _Places(TorchFunctionMode):
    """Above autograd: answers where a tensor is, moves it, and makes it there."""

    def __init__(self, guard: _Guard) -> None:
        super().__init__()
        self.guard = guard

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if getattr(func, "__name__", "") == "__get__":
            return self._read(func, *args)
        if func in _AS_NUMPY and is_on_card(args[0]):
            raise TypeError("can't convert cuda:0 device type tensor to numpy: use Tensor.cpu()")
        if func is Tensor.cpu:
            return self._moved(args[0], on_card=False)
        if func is Tensor.cuda:
            return self._moved(args[0], on_card=True)
        if func is Tensor.to:
            return self._to(*args, **kwargs)
        if func is Tensor.backward:
            with self, self.guard.making(is_on_card(args[0])):
                return torch.autograd.backward(args[0], kwargs.pop("gradient"), **kwargs)
        device = kwargs.get("device")
        if _is_card(device):
            kwargs["device"] = "cpu"
        elif isinstance(device, str | torch.device) and any(map(is_on_card, _tensors(args))):
            raise NotImplementedError(f"{func} from the card to {device}")
        makes_on_card = _is_card(device) or (device is None and any(map(is_on_card, _tensors((args, kwargs)))))
        with self.guard.making(makes_on_card):
            result = func(*args, **kwargs)
        if _is_card(device) and isinstance(result, Tensor):
            _put(result, on_card=True)
        for generator in (leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, _CPU_GENERATOR)):
            is_the_cards = getattr(generator, "is_on_card", False)
            if any(is_on_card(tensor) != is_the_cards for tensor in _tensors(result)):
                raise RuntimeError(f"Expected a generator of the tensor's own device: {func}")
        return result

    def _read(self, func: Any, tensor: Tensor, *rest: Any) -> Any:
        places = {"device": CARD, "is_cuda": True, "is_cpu": False}
        name = func.__self__.__name__
        return places[name] if name in places and is_on_card(tensor) else func(tensor, *rest)

    def _to(self, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        device, dtype = kwargs.get("device"), kwargs.get("dtype")
        for value in args:
            if isinstance(value, Tensor):
                device, dtype = CARD if is_on_card(value) else "cpu", value.dtype
            elif isinstance(value, torch.dtype):
                dtype = value
            elif isinstance(value, str | torch.device | int) and not isinstance(value, bool):
                device = value
        moved = tensor if device is None else self._moved(tensor, on_card=_is_card(device))
        return moved if dtype is None else moved.to(dtype)

    def _moved(self, tensor: Tensor, *, on_card: bool) -> Tensor:
        if self.guard.is_capturing and on_card != is_on_card(tensor):
            raise RuntimeError("operation not permitted when stream is capturing: a copy between devices")
        return tensor if is_on_card(tensor) == on_card else _put(tensor.clone(), on_card)


def _captured(guard: _Guard) -> Callable[..., Callable[[], object]]:
    """Return what stands for `replayed.captured`: it runs the work as often, the last time as while capturing."""

    def captured(work: Callable[[], object], device: torch.device) -> Callable[[], object]:
        assert device.type == "cuda"
        for _ in range(replayed._WARM_UPS):
            work()
        guard.is_capturing = True
        try:
            work()
        finally:
            guard.is_capturing = False
        return work

    return captured


@contextlib.contextmanager
def pretend_card() -> Iterator[_Guard]:
    """Within it torch has one CUDA device, as far as devices can be mixed up."""
    guard = _Guard()
    autocast, fork_rng, gradients = torch.autocast, torch.random.fork_rng, torch.autograd.grad

    def grad(outputs: Any, *args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        with guard.making(any(map(is_on_card, _tensors(outputs)))):
            return gradients(outputs, *args, **kwargs)

    mark = SimpleNamespace(record=lambda: None, elapsed_time=lambda other: 1.0)
    patches = [
        patch("torch.Generator", _Generator),
        patch("torch.autocast", lambda device_type, *args, **kwargs: autocast("cpu", *args, **kwargs)),
        patch("torch.random.fork_rng", lambda *args, **kwargs: fork_rng(devices=[])),
        patch("torch.autograd.has_torch_function", lambda _: False),  # or backward passes would run without `_Places`
        patch("torch.autograd.grad", grad),
        patch("torch.cuda.is_available", lambda: True),
        patch("torch.cuda.synchronize", lambda *_: None),
        patch("torch.cuda.Event", lambda **_: mark),
        patch("torch.cuda.max_memory_allocated", lambda *_: 1),
        patch("torch.cuda.reset_peak_memory_stats", lambda *_: None),
        patch.object(replayed, "captured", _captured(guard)),
    ]
    with contextlib.ExitStack() as stack:
        for each in patches:
            stack.enter_context(each)
        stack.enter_context(guard)
        stack.enter_context(_Places(guard))
        yield guard
