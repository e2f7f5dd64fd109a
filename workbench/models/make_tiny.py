"""Make the bundled model: ``python -m workbench.models.make_tiny --out DIR``.

A Llama of a few small layers learns the three tasks from faultless demonstrations, then picks up the bad habits of
``demonstrations.py``, so that at temperature 1 it is right about half of the time and GRPO has something to do.
The same seed gives the same bytes on the same machine: one thread, one generator of each kind, no dropout.
"""

import argparse
import itertools
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from workbench.models.demonstrations import FAULTLESS, Habits, demonstrations
from workbench.models.sample import sampled_accuracy
from workbench.models.tokenizer import CONTROL_TOKENS, build_tokenizer
from workbench.tasks.registry import TASKS

log = logging.getLogger(__name__)
IGNORED = -100  # the label that cross-entropy leaves out


@dataclass(frozen=True)
class Recipe:
    """How the tiny model is made."""

    num_layers: int = 2
    hidden_size: int = 128
    intermediate_size: int = 384
    num_heads: int = 4
    batch_size: int = 96
    num_faultless_steps: int = 2600
    num_habit_steps: int = 500
    learning_rate: float = 3e-3
    seed: int = 0


def build_model(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> LlamaForCausalLM:
    """Return the untrained model, its weights drawn from the recipe's seed."""
    torch.manual_seed(recipe.seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=recipe.hidden_size,
            intermediate_size=recipe.intermediate_size,
            num_hidden_layers=recipe.num_layers,
            num_attention_heads=recipe.num_heads,
            num_key_value_heads=recipe.num_heads,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            pad_token_id=CONTROL_TOKENS.index("<pad>"),
            eos_token_id=CONTROL_TOKENS.index("<eos>"),
            bos_token_id=None,
        )
    )


def batches(
    tokenizer: PreTrainedTokenizerBase, habits: Habits, batch_size: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (input ids, labels), padded on the right; only the completion and its end are learnt."""
    stream = demonstrations(habits, seed)
    while True:
        pairs = list(itertools.islice(stream, batch_size))
        prompts = tokenizer([prompt for prompt, _ in pairs])["input_ids"]
        completions = [[*ids, tokenizer.eos_token_id] for ids in tokenizer([text for _, text in pairs])["input_ids"]]
        both = list(zip(prompts, completions, strict=True))
        length = max(len(prompt) + len(completion) for prompt, completion in both)
        ids = [pad_right([*prompt, *completion], length, tokenizer.pad_token_id) for prompt, completion in both]
        labels = [pad_right([IGNORED] * len(prompt) + completion, length, IGNORED) for prompt, completion in both]
        yield torch.tensor(ids), torch.tensor(labels)


def pad_right(ids: list[Any], length: int, pad: Any) -> list[Any]:
    """Return the ids with the pad after them, up to the length."""
    return ids + [pad] * (length - len(ids))


def train(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, recipe: Recipe) -> None:
    """Train the model in place: first faultless demonstrations, then those with bad habits; one cosine over both."""
    num_steps = recipe.num_faultless_steps + recipe.num_habit_steps
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / 100, 0.02 + 0.49 * (1 + math.cos(math.pi * step / num_steps)))
    )
    faultless = batches(tokenizer, FAULTLESS, recipe.batch_size, recipe.seed)
    habitual = batches(tokenizer, Habits(), recipe.batch_size, recipe.seed + 1)
    stream = itertools.chain(itertools.islice(faultless, recipe.num_faultless_steps), habitual)
    model.train()
    for step, (ids, labels) in enumerate(itertools.islice(stream, num_steps)):
        logits = model(input_ids=ids).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(
            logits.reshape(-1, logits.shape[-1]), labels[:, 1:].reshape(-1), ignore_index=IGNORED
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            log.info("step %d of %d, loss %.3f nats a token", step, num_steps, loss.item())


def make_tiny(folder: Path, recipe: Recipe) -> LlamaForCausalLM:
    """Train the tiny model and write it with its tokenizer to the folder, in float32."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    tokenizer = build_tokenizer()
    model = build_model(recipe, tokenizer)
    train(model, tokenizer, recipe)
    model.eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for file in folder.iterdir():
        file.chmod(0o644)  # safetensors keeps its files to their owner; these are shipped
    return model


def main() -> None:
    """Make the model and print how often its samples are right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--layers", type=int, default=Recipe.num_layers)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    start = time.perf_counter()
    model = make_tiny(arguments.out, Recipe(num_layers=arguments.layers, seed=arguments.seed))
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{num_parameters} parameters, made in {time.perf_counter() - start:.0f} s")
    tokenizer = build_tokenizer()
    for task in TASKS.values():
        for temperature in (1.0, 0.0):
            result = sampled_accuracy(model, tokenizer, task, num_samples=512, temperature=temperature, seed=1)
            print(f"{task.name}, temperature {temperature}: {result}")


if __name__ == "__main__":
    main()
