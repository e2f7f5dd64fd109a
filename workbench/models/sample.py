"""How often a model's samples of a task are right."""

import itertools
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from workbench.tasks.base import Task


@dataclass(frozen=True)
class Sampled:
    """Mean rewards of a sample by function, the weighted reward's share of its maximum, and lengths in tokens."""

    rewards: dict[str, float]
    share_of_max: float
    mean_length: float
    share_truncated: float
    completions: tuple[str, ...]

    def __str__(self) -> str:
        means = ", ".join(f"{name} {mean:.3f}" for name, mean in self.rewards.items())
        return (
            f"{means}; reward {self.share_of_max:.3f} of the maximum; "
            f"mean length {self.mean_length:.1f} tokens, {self.share_truncated:.1%} truncated"
        )


@torch.inference_mode()
def sample_completions(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[str],
    *,
    max_new_tokens: int,
    temperature: float,
    seed: int,
) -> list[list[int]]:
    """Return one completion per prompt, its end token included; temperature 0 takes the likeliest token."""
    torch.manual_seed(seed)
    inputs = tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left", return_token_type_ids=False)
    sampling = {"temperature": temperature, "top_k": 0, "top_p": 1.0} if temperature else {}
    generate: Any = model.generate  # its stub is lost behind the decorators
    output = generate(**inputs, max_new_tokens=max_new_tokens, do_sample=temperature > 0, **sampling)
    completions = output[:, inputs["input_ids"].shape[1] :].tolist()
    end = tokenizer.eos_token_id
    return [ids[: ids.index(end) + 1] if end in ids else ids for ids in completions]


def sampled_accuracy(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    task: Task,
    *,
    num_samples: int,
    temperature: float,
    seed: int,
) -> Sampled:
    """Return the mean rewards of one completion for each of the task's first examples under that seed."""
    examples = list(itertools.islice(task.examples(seed), num_samples))
    prompts = [example["prompt"] for example in examples]
    ids = sample_completions(
        model, tokenizer, prompts, max_new_tokens=task.max_completion_length, temperature=temperature, seed=seed
    )
    texts = tokenizer.batch_decode(ids, skip_special_tokens=True)
    columns = {key: [example[key] for example in examples] for key in examples[0] if key != "prompt"}
    rewards: dict[str, float] = {}
    for function in task.reward_functions:
        values = function(prompts=prompts, completions=texts, completion_ids=ids, **columns)
        rewards[function.__name__] = sum(value or 0.0 for value in values) / num_samples
    weighted = sum(weight * mean for weight, mean in zip(task.reward_weights, rewards.values(), strict=True))
    return Sampled(
        rewards=rewards,
        share_of_max=weighted / task.max_reward,
        mean_length=sum(map(len, ids)) / num_samples,
        share_truncated=sum(tokenizer.eos_token_id not in row for row in ids) / num_samples,
        completions=tuple(texts),
    )
