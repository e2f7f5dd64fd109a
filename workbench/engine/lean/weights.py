"""What our forward pass reads of a transformers model with a LoRA adapter, and for which models it stands in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from workbench.engine.lean.functions import FoldedLinear
from workbench.engine.lora import ADAPTER

Adapter = Literal["folded", "beside", "below", "off"]
MODELS = ("LlamaForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
ROPE_TYPES = ("default", "linear", "llama3", "yarn")  # their angles do not depend on the sequence's length


@dataclass(frozen=True, eq=False)
class Projection:
    """One or more linear layers with the same input, as one, with their adapters folded in, beside them, or left out.

    `a` holds all their A, `bs` their B; unless they are folded the B are one matrix. Where no gradient is
    wanted A may stand below the weights, as more rows of them and of the bias. Without an adapter there are neither.
    """

    weight: Float[Tensor, "O I"]
    bias: Float[Tensor, " O"] | None
    a: Float[Tensor, "K I"] | None
    bs: tuple[Float[Tensor, "_ R"], ...]
    scaling: float
    is_folded: bool

    def __call__(self, x: Float[Tensor, "N I"]) -> Float[Tensor, "N O"]:
        if self.is_folded and torch.is_grad_enabled():
            return FoldedLinear.apply(x, self.weight, self.bias, self.scaling, self.a, *self.bs)  # type: ignore[return-value]
        result = F.linear(x, self.weight, self.bias)
        if self.is_folded or not self.bs:
            return result
        (b,) = self.bs
        result, low = (result, F.linear(x, self.a)) if self.a is not None else result.split(b.shape, dim=1)
        return result.addmm_(low, b.t(), alpha=self.scaling)

    def take(self, other: "Projection") -> None:
        """Copy what the adapter changes from another of this kind."""
        self.weight.copy_(other.weight)
        if self.is_folded:
            return
        for own, new in zip(self.bs, other.bs, strict=True):
            own.copy_(new)
        if self.a is not None and other.a is not None:
            self.a.copy_(other.a)


@dataclass(frozen=True, eq=False)
class LeanLayer:
    attention_norm: Tensor
    qkv: Projection
    query_norm: Tensor | None  # Qwen3's, over each head
    key_norm: Tensor | None
    out: Projection
    mlp_norm: Tensor
    gate_up: Projection
    down: Projection


@dataclass(frozen=True, eq=False)
class LeanWeights:
    """The weights of a model as they are now, packed. They stay the same when the model learns on: take them anew."""

    layers: tuple[LeanLayer, ...]
    embedding: Float[Tensor, "V I"]
    final_norm: Float[Tensor, " I"]
    head: Float[Tensor, "V I"]
    num_heads: int
    num_key_value_heads: int
    head_dim: int
    eps: float
    rotary: Any

    @property
    def bytes_per_token(self) -> int:
        """Return about how much a gradient keeps of each token that a pass reads."""
        first = self.layers[0]
        width, attended, gated = self.embedding.shape[1], len(first.qkv.weight), len(first.gate_up.weight) // 2
        numbers = 4 * width + 4 * attended + 4 * gated
        return len(self.layers) * numbers * self.embedding.element_size()


def why_not_lean(model: Any) -> str | None:
    """Return what about a PEFT model our forward pass does not know; None where it gives the model's own numbers."""
    base, config = model.get_base_model(), model.config
    if type(base).__name__ not in MODELS:
        return f"it knows {', '.join(MODELS)}; this one is {type(base).__name__}"
    if config.hidden_act != "silu":
        return f"its gate is {config.hidden_act}, not silu"
    if config.rope_parameters.get("rope_type", "default") not in ROPE_TYPES:
        return f"its rotary embedding is {config.rope_parameters['rope_type']}"
    if any(kind != "full_attention" for kind in getattr(config, "layer_types", None) or ()):
        return "some of its layers see a sliding window"
    if getattr(base.lm_head, "bias", None) is not None or hasattr(base.lm_head, "lora_A"):
        return "its head has a bias or an adapter"
    for layer in _linear_layers(base):
        if not hasattr(layer, "get_base_layer") or type(layer.get_base_layer()) is not nn.Linear:
            return "its linear layers are not all plain ones with an adapter"
    return None


@torch.no_grad()
def _folded(layers: Sequence[Any]) -> Float[Tensor, "O I"]:
    """Return W + s·B·A of some layers, one below the other."""
    bases = [layer.get_base_layer().weight for layer in layers]
    sizes = [len(base) for base in bases]
    whole = bases[0].new_empty(sum(sizes), bases[0].shape[1])
    for part, base, layer in zip(whole.split(sizes), bases, layers, strict=True):
        a, b = layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight
        torch.addmm(base, b, a, alpha=layer.scaling[ADAPTER], out=part)
    return whole


def _projection(layers: Sequence[Any], adapter: Adapter) -> Projection:
    bases = [layer.get_base_layer() for layer in layers]
    weights, dtype = [base.weight for base in bases], bases[0].weight.dtype
    bias = None if bases[0].bias is None else torch.cat([base.bias for base in bases])
    if adapter == "off":
        return Projection(torch.cat(weights), bias, None, (), 0.0, False)
    scaling = layers[0].scaling[ADAPTER]
    a = torch.cat([layer.lora_A[ADAPTER].weight for layer in layers])
    bs = tuple(layer.lora_B[ADAPTER].weight for layer in layers)
    if adapter == "folded" and dtype != torch.bfloat16:
        return Projection(_folded(layers), bias, a, bs, scaling, True)
    a, b = a.to(dtype), torch.block_diag(*bs).to(dtype)
    if adapter == "below":
        bias = None if bias is None else F.pad(bias, (0, len(a)))
        return Projection(torch.cat([*weights, a.detach()]), bias, None, (b.detach(),), scaling, False)
    return Projection(torch.cat(weights), bias, a, (b,), scaling, False)


def lean_weights(
    model: Any, *, has_adapter: bool = True, is_folded: bool = True, has_gradient: bool = True
) -> LeanWeights:
    """Return the weights of a PEFT model that `why_not_lean` has nothing against, its adapter on or off as it is now.

    Without `has_adapter` they are the base model's, whatever the adapter is. With `is_folded` the adapter is folded in,
    W + s·B·A; gradients reach A and B all the same. In bfloat16 it stays beside the weights even so: a small B·A would
    be rounded away, and an update would not change the policy at all. Without `has_gradient` it costs one product less.
    """
    base, config = model.get_base_model(), model.config
    first = base.model.layers[0].self_attn
    adapter = "off" if not has_adapter or first.q_proj.disable_adapters else _where(is_folded, has_gradient)
    return LeanWeights(
        layers=tuple(_layer(layer, adapter) for layer in base.model.layers),
        embedding=base.model.embed_tokens.weight.detach(),
        final_norm=base.model.norm.weight.detach(),
        head=base.lm_head.weight.detach(),
        num_heads=config.num_attention_heads,
        num_key_value_heads=config.num_key_value_heads,
        head_dim=first.head_dim,
        eps=base.model.norm.variance_epsilon,
        rotary=base.model.rotary_emb,
    )


def _where(is_folded: bool, has_gradient: bool) -> Adapter:
    return "folded" if is_folded else "beside" if has_gradient else "below"


def _layer(layer: Any, adapter: Adapter) -> LeanLayer:
    attention, mlp = layer.self_attn, layer.mlp
    return LeanLayer(
        attention_norm=layer.input_layernorm.weight.detach(),
        qkv=_projection((attention.q_proj, attention.k_proj, attention.v_proj), adapter),
        query_norm=_norm_weight(attention, "q_norm"),
        key_norm=_norm_weight(attention, "k_norm"),
        out=_projection((attention.o_proj,), adapter),
        mlp_norm=layer.post_attention_layernorm.weight.detach(),
        gate_up=_projection((mlp.gate_proj, mlp.up_proj), adapter),
        down=_projection((mlp.down_proj,), adapter),
    )


def _norm_weight(attention: Any, name: str) -> Tensor | None:
    norm = getattr(attention, name, None)
    return None if norm is None else norm.weight.detach()


def _linear_layers(base: Any) -> list[Any]:
    return [
        part
        for layer in base.model.layers
        for part in (
            *(getattr(layer.self_attn, name, None) for name in ("q_proj", "k_proj", "v_proj", "o_proj")),
            *(getattr(layer.mlp, name, None) for name in ("gate_proj", "up_proj", "down_proj")),
        )
    ]
