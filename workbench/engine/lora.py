"""The adapter: put beside the base weights, or folded into them, W + s·B·A, the same in fewer operations."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import Tensor

from workbench.run.config import RunConfig

ADAPTER = "default"


def with_adapter_beside(model: Any, config: RunConfig, task_type: str | None = None) -> Any:
    """Return the model with a new adapter beside all its linear layers, as `config` asks for it. Draws random numbers.

    `task_type` is PEFT's: "SEQ_CLS" also trains the head.
    """
    lora = LoraConfig(
        task_type=task_type,
        r=config.lora_r,
        lora_alpha=config.lora_alpha,
        target_modules="all-linear",
        lora_dropout=0.0,
    )
    with warnings.catch_warnings():  # PEFT asks for it by a name that transformers is giving up
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        return get_peft_model(model, lora, adapter_name=ADAPTER)


def lora_layers(model: PeftModel) -> dict[str, Any]:
    """Return the layers that carry the adapter, by their names in the model."""
    return {name: m for name, m in model.named_modules() if isinstance(m, LoraLayer) and ADAPTER in m.lora_A}


def has_plain_layers(model: PeftModel) -> bool:
    """Return whether each layer with an adapter multiplies by one matrix: a mixture's fused experts hold several."""
    bases = [layer.get_base_layer() for layer in lora_layers(model).values()]
    return all(isinstance(getattr(base, "weight", None), Tensor) for base in bases)


def is_switched_off(model: PeftModel) -> bool:
    return any(layer.disable_adapters for layer in lora_layers(model).values())


def copy_adapter(model: PeftModel) -> dict[str, Tensor]:
    """Return a copy of every A and B, by their names in the model."""
    return {name: weight.detach().clone() for name, weight in _weights(model).items()}


@contextmanager
def with_adapter(model: PeftModel, adapter: Mapping[str, Tensor]) -> Iterator[None]:
    """Within it the model computes with that adapter.

    Its own weights are set aside and put back, not copied: what autograd and the optimizer know of them stays true.
    """
    weights = _weights(model)
    set_aside = {name: weight.data for name, weight in weights.items()}
    try:
        for name, weight in weights.items():
            weight.data = adapter[name]
        yield
    finally:
        for name, weight in weights.items():
            weight.data = set_aside[name]


def _weights(model: PeftModel) -> dict[str, Tensor]:
    return {
        f"{name}.{part}": getattr(layer, part)[ADAPTER].weight
        for name, layer in lora_layers(model).items()
        for part in ("lora_A", "lora_B")
    }


@contextmanager
def merged(model: PeftModel) -> Iterator[None]:
    """Within it the model computes with the folded weights, for sampling: no gradient reaches the adapter.

    The base weights are set aside and put back, not added to and subtracted from, so they never drift.
    Where the adapter is off, it stays off.
    """
    if is_switched_off(model):
        yield
        return
    set_aside = []
    try:
        for layer in lora_layers(model).values():
            base = layer.get_base_layer()
            weight = base.weight.data
            with torch.no_grad():
                folded = weight.float() + layer.get_delta_weight(ADAPTER).float()
            set_aside.append((base, weight))
            base.weight.data = folded.to(weight.dtype)
        with model.disable_adapter():
            yield
    finally:
        for base, weight in set_aside:
            base.weight.data = weight


def forward_folded(model: PeftModel, inputs: Mapping[str, Any]) -> Any:
    """Return the output for `inputs`, computed with the folded weights; gradients reach A and B through the sum.

    Faster than the adapter beside its layer where a batch has many more tokens than the layer is wide: three
    operations on activations become one on weights. A wide layer pays with the gradient of a whole weight.
    Where the adapter is off, it stays off.
    """
    layers = lora_layers(model)
    if is_switched_off(model):
        return model(**inputs)
    folded: dict[str, Tensor] = {}
    for name, layer in layers.items():
        delta = layer.get_delta_weight(ADAPTER)
        folded[f"{name}.base_layer.weight"] = layer.get_base_layer().weight + delta
    with model.disable_adapter():
        return torch.func.functional_call(model, folded, kwargs=dict(inputs))
