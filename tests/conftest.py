"""What many tests share: tiny models of several kinds, saved as transformers saves them, and a browser."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)

from workbench.engine.policy import Policy, load_policy
from workbench.models.tokenizer import build_tokenizer
from workbench.run.config import RunConfig

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ROLES_TEMPLATE = (
    "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)

torch.set_num_threads(1)
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# A busy machine is slow, and that is no fault of what is tested.
settings.register_profile("laws", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("laws")


def save_model(model, folder: Path, **tokenizer_settings) -> Path:
    tokenizer = build_tokenizer()
    for name, value in tokenizer_settings.items():
        setattr(tokenizer, name, value)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_llama(seed: int = 0) -> LlamaForCausalLM:
    """Return a random Llama that is unsure of everything and ends about one completion in ten at each token.

    The embeddings' first dimension is the same for every token, so it is a bias that the end token's row can read.
    """
    tokenizer = build_tokenizer()
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=96,
            tie_word_embeddings=False,
            initializer_range=0.25,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
        )
    )
    with torch.no_grad():
        model.get_input_embeddings().weight[:, 0] = 4.0
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight[0] = layer.mlp.down_proj.weight[0] = 0.0
        model.lm_head.weight[tokenizer.eos_token_id, 0] = 3.5
    return model.eval()


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory) -> Path:
    return save_model(make_llama(), tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="session")
def chat_folder(tmp_path_factory) -> Path:
    """The Llama again, with a chat template that shows each message's role."""
    return save_model(make_llama(), tmp_path_factory.mktemp("chat"), chat_template=ROLES_TEMPLATE)


@pytest.fixture(scope="session")
def gpt2_folder(tmp_path_factory) -> Path:
    """Learned positions, Conv1D layers, no rotary embedding."""
    tokenizer = build_tokenizer()
    torch.manual_seed(1)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_layer=2,
        n_embd=32,
        n_head=2,
        n_positions=64,
        initializer_range=0.2,
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return save_model(GPT2LMHeadModel(config).eval(), tmp_path_factory.mktemp("gpt2"))


@pytest.fixture(scope="session")
def qwen2_folder(tmp_path_factory) -> Path:
    """Grouped-query attention, biases, tied embeddings, several ids that end a completion, a padded vocabulary."""
    tokenizer = build_tokenizer()
    torch.manual_seed(2)
    config = Qwen2Config(
        vocab_size=len(tokenizer) + 10,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=96,
        tie_word_embeddings=True,
        initializer_range=0.25,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    model = Qwen2ForCausalLM(config).eval()
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, 5]
    return save_model(model, tmp_path_factory.mktemp("qwen2"))


@pytest.fixture(scope="session")
def experts_folder(tmp_path_factory) -> Path:
    """A mixture of experts, whose weights of all experts are one tensor."""
    tokenizer = build_tokenizer()
    torch.manual_seed(4)
    config = Qwen3MoeConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        moe_intermediate_size=16,
        num_experts=4,
        num_experts_per_tok=2,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=96,
        initializer_range=0.25,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    return save_model(Qwen3MoeForCausalLM(config).eval(), tmp_path_factory.mktemp("experts"))


@pytest.fixture(params=["llama", "gpt2", "qwen2"])
def any_folder(request) -> Path:
    """Each kind of model in turn: what holds for it holds for any causal language model."""
    return request.getfixturevalue(f"{request.param}_folder")


@pytest.fixture
def make_config(llama_folder) -> Callable[..., RunConfig]:
    """Return a small run's config, on the CPU, with any setting changed."""

    def make(**settings) -> RunConfig:
        small = {"model": str(llama_folder), "prompts_per_step": 2, "max_steps": 3, "device": "cpu"}
        return RunConfig(**small | settings)

    return make


@pytest.fixture
def make_policy(make_config) -> Callable[..., Policy]:
    """Return a policy whose adapter does something: LoRA's B, which starts as zero, is filled with noise."""

    def make(folder: Path | None = None, *, lora_scale: float = 0.1, **settings) -> Policy:
        policy = load_policy(make_config(**({} if folder is None else {"model": str(folder)}), **settings))
        noise = torch.Generator().manual_seed(7)
        for name, weight in policy.model.named_parameters():
            if "lora_B" in name:
                weight.data = (lora_scale * torch.randn(weight.shape, generator=noise)).to(weight.device, weight.dtype)
        return policy

    return make


@pytest.fixture(scope="session")
def browser_path() -> str:
    """Return the path of a Chromium or Chrome; skip, or fail if the environment demands one, without."""
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if found is None:
        advice = "no Chromium or Chrome on PATH: install one (Debian: apt-get install chromium) to run the page's tests"
        if os.environ.get("WORKBENCH_REQUIRE_BROWSER") == "1":
            pytest.fail(advice)
        pytest.skip(advice)
    return found
