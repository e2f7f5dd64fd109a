"""The policy: a causal language model with a LoRA adapter; the reference is the same model with the adapter off."""

import inspect
import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from peft import LoraConfig, get_peft_model
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, Cache, PreTrainedTokenizerBase

from workbench.engine.lora import ADAPTER, forward_folded, merged
from workbench.errors import ConfigError
from workbench.models.location import model_location
from workbench.run.config import RunConfig

TINY = 20_000_000  # weights


@dataclass(frozen=True, eq=False)
class Policy:
    """A PEFT model, its tokenizer, and where and in which precision it computes."""

    model: Any
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
    dtype: torch.dtype
    eos_ids: tuple[int, ...]
    pad_id: int
    inputs: frozenset[str]  # the names of what the model's forward takes
    is_tiny: bool  # so small that operations cost more than arithmetic

    @property
    def trainable(self) -> list[Tensor]:
        return [p for p in self.model.parameters() if p.requires_grad]

    def autocast(self) -> AbstractContextManager:
        """Compute in bfloat16 where the run asks for it; in float32 do nothing."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def reference(self) -> AbstractContextManager:
        """Within it the model is the reference policy."""
        return self.model.disable_adapter()

    def merged(self) -> AbstractContextManager:
        """Within it the adapter is folded into the base weights: the same policy, faster, but without gradients."""
        return merged(self.model)

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
            folds = self.is_tiny and torch.is_grad_enabled()
            output = forward_folded(self.model, taken) if folds else self.model(**taken)
        return output.logits[:, -num_last:]

    def save_adapter(self, folder: Path) -> None:
        """Write the adapter in PEFT's format; the weights replace the last ones in one move."""
        if not folder.exists():
            replace(self.model.peft_config[ADAPTER], inference_mode=True).save_pretrained(str(folder))
        weights = {
            name.replace(f".{ADAPTER}.", "."): weight.detach().contiguous()
            for name, weight in self.model.named_parameters()
            if weight.requires_grad
        }
        part = folder / "weights.part"
        save_file(weights, part)
        os.replace(part, folder / SAFETENSORS_WEIGHTS_NAME)


def load_policy(config: RunConfig) -> Policy:
    """Return the policy that `config` asks for; raise ConfigError if its model or device cannot be used."""
    device = _device(config.device)
    dtype = _dtype(config.dtype, device)
    location = model_location(config.model)
    try:
        tokenizer = AutoTokenizer.from_pretrained(location)
        base: Any = AutoModelForCausalLM.from_pretrained(location, dtype=dtype)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"model={config.model!r} could not be loaded: {_first_line(error)}") from error
    base.to(device)
    lora = LoraConfig(
        task_type="CAUSAL_LM",
        r=config.lora_r,
        lora_alpha=config.lora_alpha,
        target_modules="all-linear",
        lora_dropout=0.0,
    )
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(config.seed)
        model = get_peft_model(base, lora, adapter_name=ADAPTER)
    model.eval()  # dropout off everywhere, or the first ratio would not be exactly 1
    eos_ids, pad_id = _special_ids(tokenizer, base)
    inputs = frozenset(inspect.signature(base.forward).parameters)
    is_tiny = sum(p.numel() for p in model.parameters()) < TINY
    return Policy(model, tokenizer, device, dtype, eos_ids, pad_id, inputs, is_tiny)


def choose_num_threads(config: RunConfig, policy: Policy) -> int:
    """Return how many CPU threads to compute with.

    In a tiny model an operation is over before a second thread has begun, and each of them waits for all threads: with
    other work on the cores, two threads made an update several times slower than one. So tiny models get one.
    """
    if config.num_threads:
        return config.num_threads
    return 1 if policy.is_tiny else os.cpu_count() or 1


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device='cuda' cannot be used: torch sees no CUDA device here; use cpu or auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def _dtype(name: str, device: torch.device) -> torch.dtype:
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]


def _special_ids(tokenizer: Any, base: Any) -> tuple[tuple[int, ...], int]:
    """Return every id that ends a completion, and the padding id (any will do: masks come from lengths)."""
    configured = getattr(base.generation_config, "eos_token_id", None)
    ids = configured if isinstance(configured, (list, tuple)) else [configured]
    eos_ids = tuple(sorted({i for i in (*ids, tokenizer.eos_token_id) if i is not None}))
    if not eos_ids:
        raise ConfigError(
            "the model has no end-of-sequence token: neither its tokenizer nor generation config names one"
        )
    return eos_ids, tokenizer.pad_token_id if tokenizer.pad_token_id is not None else eos_ids[0]


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
