"""The policy: a causal language model with a LoRA adapter; the reference: the same with an earlier one, or none."""

import inspect
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from peft import PeftConfig
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from safetensors import SafetensorError
from safetensors.numpy import save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, Cache, PreTrainedTokenizerBase

from workbench.engine.device import find_device, find_dtype
from workbench.engine.lean.compiled import can_compile
from workbench.engine.lean.weights import LeanWeights, lean_weights, why_not_lean
from workbench.engine.loading import load
from workbench.engine.lora import (
    ADAPTER,
    copy_adapter,
    forward_folded,
    has_plain_layers,
    is_switched_off,
    merged,
    with_adapter,
    with_adapter_beside,
)
from workbench.errors import ConfigError, WriteError
from workbench.models.location import model_location
from workbench.run.config import RunConfig
from workbench.run.fastpaths import FAST_PATHS

TINY = 20_000_000  # weights


@dataclass(eq=False)
class Policy:
    """A PEFT model, its tokenizer, and where and in which precision it computes.

    `reference_adapter` is None until the first `reset_reference`: the reference is then the base model.
    """

    model: Any
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
    dtype: torch.dtype
    eos_ids: tuple[int, ...]
    pad_id: int
    inputs: frozenset[str]  # the names of what the model's forward takes
    is_tiny: bool  # so small that operations cost more than arithmetic
    fast_paths: frozenset[str] = frozenset(FAST_PATHS)  # that may be taken with this model
    num_workers: int = 1  # parts of a batch scored at the same time
    reference_adapter: Mapping[str, Tensor] | None = None
    decode_steps: dict[Any, Any] = field(default_factory=dict)  # kept from step to step: see lean/replayed.py

    @property
    def folds(self) -> bool:
        """Whether transformers' forward pass multiplies by W + s·B·A, made anew each time."""
        return self.is_tiny and "folded_update" in self.fast_paths

    @cached_property
    def frozen(self) -> list[Tensor]:
        """All that is not trained: the base weights and the model's buffers."""
        return [*(p for p in self.model.parameters() if not p.requires_grad), *self.model.buffers()]

    @cached_property
    def trainable(self) -> list[Tensor]:
        return list(self._adapter.values())

    @cached_property
    def _adapter(self) -> dict[str, Tensor]:
        """The trained weights by the names that PEFT saves them under."""
        weights = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        return {name.replace(f".{ADAPTER}.", "."): weight for name, weight in weights.items()}

    def autocast(self) -> AbstractContextManager:
        """Compute in bfloat16 where the run asks for it; in float32 do nothing."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def reference(self) -> AbstractContextManager:
        """Within it the model is the reference policy. It may be `merged` there, not the other way round."""
        assert not is_switched_off(self.model), "within merged() the base weights are not the base model's"
        if self.reference_adapter is None:
            return self.model.disable_adapter()
        return with_adapter(self.model, self.reference_adapter)

    def reset_reference(self) -> None:
        """Make the reference the policy as it is now: KL(π‖π_ref) is 0 until the next update.

        The reference is a copy of the adapter, so policy, optimizer and `save_adapter` never notice. TRL can also mix
        the two, π_ref ← α·π + (1 − α)·π_ref. With LoRA there is no such mixture to be had: W is changed by the product
        B·A, and the product of the averages of B and of A is not the average of the products.
        Source: DeepSeekMath's algorithm 1, https://arxiv.org/abs/2402.03300
        """
        self.reference_adapter = copy_adapter(self.model)

    def merged(self) -> AbstractContextManager:
        """Within it the adapter is folded into the base weights: the same policy, faster, but without gradients."""
        return merged(self.model)

    def lean_weights(self) -> LeanWeights:
        """Return the weights as they are now for our own forward pass."""
        return lean_weights(self.model, is_folded="folded_update" in self.fast_paths)

    def lean_rollout(self) -> LeanWeights:
        """Return the same to sample with, without gradients."""
        return lean_weights(self.model, is_folded="merged_rollout" in self.fast_paths, has_gradient=False)

    def lean_reference(self) -> LeanWeights:
        """Return the reference's weights for our own forward pass. No layer is told to switch its adapter off."""
        if self.reference_adapter is None:
            return lean_weights(self.model, has_adapter=False)
        with self.reference():
            return self.lean_weights()

    def logits(
        self,
        ids: Int[Tensor, "R S"],
        mask: Bool[Tensor, "R M"] | None,
        positions: Int[Tensor, "R S"],
        *,
        num_last: int,
        cache: Cache | None = None,
    ) -> Float[Tensor, "R N V"]:
        """Return the logits after each of the `num_last` last tokens. `mask` covers what the cache holds as well."""
        inputs = {
            "input_ids": ids,
            "attention_mask": None if mask is None else mask.long(),
            "position_ids": positions,
            "past_key_values": cache,
            "use_cache": cache is not None,
            "logits_to_keep": num_last,
        }
        taken = {name: value for name, value in inputs.items() if name in self.inputs}
        with self.autocast():
            output = forward_folded(self.model, taken) if self.folds else self.model(**taken)
        return output.logits[:, -num_last:]

    def save_adapter(self, folder: Path) -> None:
        """Write the adapter in PEFT's format; the weights replace the last ones in one move."""
        self.saving_adapter(folder)()

    def saving_adapter(self, folder: Path) -> Callable[[], None]:
        """Return what writes the adapter as it is now, on any thread, while the weights may change already."""
        weights = {name: weight.detach().to("cpu", copy=True) for name, weight in self._adapter.items()}
        return partial(_write_adapter, folder, weights, self.model.peft_config[ADAPTER])


def _write_adapter(folder: Path, weights: Mapping[str, Tensor], config: PeftConfig) -> None:
    part = folder / "weights.part"
    try:
        if not folder.exists():
            replace(config, inference_mode=True).save_pretrained(str(folder))
        save_file({name: weight.contiguous().numpy() for name, weight in weights.items()}, part)
        os.replace(part, folder / SAFETENSORS_WEIGHTS_NAME)
    except (OSError, SafetensorError) as error:
        raise WriteError(f"the adapter cannot be written to {folder}: {error}") from error


def load_policy(config: RunConfig) -> Policy:
    """Return the policy that `config` asks for; raise ConfigError if its model or device cannot be used."""
    device = find_device(config.device)
    dtype = find_dtype(config.dtype, device)
    location = model_location(config.model)
    tokenizer = load(f"model={config.model!r}", AutoTokenizer.from_pretrained, location)
    base: Any = load(f"model={config.model!r}", AutoModelForCausalLM.from_pretrained, location, dtype=dtype)
    base.to(device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(config.seed)
        model = load(
            f"model={config.model!r}: its adapter", with_adapter_beside, base, config=config, task_type="CAUSAL_LM"
        )
    model.eval()  # dropout off everywhere, or the first ratio would not be exactly 1
    eos_ids, pad_id = _special_ids(tokenizer, base)
    inputs = frozenset(inspect.signature(base.forward).parameters)
    is_tiny = sum(p.numel() for p in model.parameters()) < TINY
    fast_paths = _fast_paths(config, model, device, dtype, is_tiny)
    return Policy(model, tokenizer, device, dtype, eos_ids, pad_id, inputs, is_tiny, fast_paths)


def _fast_paths(
    config: RunConfig, model: Any, device: torch.device, dtype: torch.dtype, is_tiny: bool
) -> frozenset[str]:
    """Return those that the settings allow and the model can take.

    In bfloat16 nothing is folded: W + s·B·A would round a small B·A away, and the policy would not be the one trained.
    Nor are fused experts.
    """
    paths = {name for name in FAST_PATHS if config.uses(name)}
    if why_not_lean(model) is not None:
        paths -= {"lean_model"}
    if "lean_model" not in paths or device.type != "cuda":
        paths -= {"cuda_graphs"}
    if "lean_model" not in paths or device.type != "cpu" or not is_tiny:
        paths -= {"parallel_parts"}
    if dtype == torch.bfloat16 or not has_plain_layers(model):
        paths -= {"merged_rollout", "folded_update"}
    for compiled, folded in (("compiled_decode", "merged_rollout"), ("compiled_pass", "folded_update")):
        if device.type != "cpu" or not can_compile() or not {"lean_model", folded} <= paths:
            paths -= {compiled}
    if not is_tiny:  # it copies the weights once more, and gains nothing where products take nearly all of the time
        paths -= {"compiled_pass"}
    return frozenset(paths)


def _special_ids(tokenizer: Any, base: Any) -> tuple[tuple[int, ...], int]:
    """Return every id that ends a completion, and the padding id (any will do: masks come from lengths)."""
    configured = getattr(base.generation_config, "eos_token_id", None)
    ids = configured if isinstance(configured, (list, tuple)) else [configured]
    eos_ids = tuple(sorted({i for i in (*ids, tokenizer.eos_token_id) if i is not None}))
    if not eos_ids:
        raise ConfigError(
            "the model has no end-of-sequence token: neither its tokenizer nor generation config names one"
        )
    pad_id, num_embeddings = tokenizer.pad_token_id, base.get_input_embeddings().weight.shape[0]
    return eos_ids, pad_id if pad_id is not None and pad_id < num_embeddings else eos_ids[0]
