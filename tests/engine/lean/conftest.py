"""Small models of every kind that our own forward pass stands in for."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

SIZES = {
    "vocab_size": 262,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": None,
}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
QWEN3 = (Qwen3ForCausalLM, Qwen3Config(**SIZES))
ROPE = (
    LlamaForCausalLM,
    LlamaConfig(**SIZES, rope_parameters=LLAMA3 | {"original_max_position_embeddings": 16}),
)


@pytest.fixture(params=["llama", "qwen2", "qwen3", "llama3_rope"])
def lean_folder(request, tmp_path, llama_folder, qwen2_folder):
    """Every kind of model that our forward pass stands in for; grouped heads and a bias among them."""
    made = {"llama": lambda: llama_folder, "qwen2": lambda: qwen2_folder}
    made |= {
        "qwen3": lambda: saved(tmp_path, llama_folder, QWEN3),
        "llama3_rope": lambda: saved(tmp_path, llama_folder, ROPE),
    }
    return made[request.param]()


def saved(folder, tokenizer_folder, kind):
    model_class, config = kind
    torch.manual_seed(5)
    model = model_class(config)
    for name, weight in model.named_parameters():
        if "norm" in name:  # norms start as ones, which would hide one that is left out
            weight.data = 1 + 0.3 * torch.randn(weight.shape)
    model.save_pretrained(folder)
    for file in tokenizer_folder.glob("*token*"):
        (folder / file.name).write_bytes(file.read_bytes())
    return folder
