"""Prompts as tokens: strings as they are, message lists through the chat template, padded on the left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Int
from jinja2 import TemplateError
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from workbench.engine.policy import Policy
from workbench.errors import ConfigError
from workbench.tasks.base import text_of


@dataclass(frozen=True, eq=False)
class PromptBatch:
    """One row a prompt. `mask` is False on the padding at the left."""

    texts: tuple[str, ...]
    ids: Int[Tensor, "P S"]
    mask: Bool[Tensor, "P S"]

    @property
    def positions(self) -> Int[Tensor, "P S"]:
        return (self.mask.cumsum(1) - 1).clamp(min=0)

    @property
    def has_padding(self) -> bool:
        return not bool(self.mask.all())

    def repeated(self, times: int) -> "PromptBatch":
        """Return each prompt that many times, next to each other."""
        texts = tuple(text for text in self.texts for _ in range(times))
        return PromptBatch(texts, self.ids.repeat_interleave(times, 0), self.mask.repeat_interleave(times, 0))


def render_prompt(tokenizer: PreTrainedTokenizerBase, prompt: Any) -> str:
    """Return the text that the model is given: a string itself, messages by the chat template or, without, joined.

    Raises ConfigError where the chat template is malformed or refuses the messages.
    """
    if isinstance(prompt, str):
        return prompt
    if tokenizer.chat_template is None:
        return "\n".join(text_of([message]) for message in prompt)
    try:
        return str(tokenizer.apply_chat_template(whole_contents(prompt), tokenize=False, add_generation_prompt=True))
    except (TemplateError, TypeError) as error:  # the template adds its strings to a content that is none
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"the model's chat template cannot render the prompt {prompt!r:.80}: {reason}") from error


def whole_contents(messages: Sequence[Any]) -> list[Any]:
    """Return the messages, those whose content is parts of text with it as one text: templates of language models
    print such a list as Python writes it, or refuse it."""
    return [{**message, "content": text_of([message])} if _is_parts(message) else message for message in messages]


def _is_parts(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    return isinstance(content, list) and all(isinstance(p, Mapping) and p.get("type") == "text" for p in content)


def check_in_table(policy: Policy, ids: Sequence[int]) -> None:
    """Raise ConfigError if the model has no embedding for one of the tokens: its tokenizer is another model's."""
    last = policy.model.get_input_embeddings().weight.shape[0] - 1
    highest = max(ids, default=0)
    if highest > last:
        token = policy.tokenizer.convert_ids_to_tokens(highest)
        raise ConfigError(
            f"the tokenizer's token {token!r} has the id {highest}, and the model's embeddings end at {last}: "
            "take the tokenizer that belongs to the model"
        )


def encode_prompts(policy: Policy, prompts: Sequence[Any]) -> PromptBatch:
    """Return the prompts as left-padded ids; raise ConfigError for a prompt that has no token or is too long, or that
    the chat template or the model cannot read."""
    texts = tuple(render_prompt(policy.tokenizer, prompt) for prompt in prompts)
    # a chat template writes its own special tokens; a plain string gets those that the tokenizer adds by itself
    adds_special = [isinstance(p, str) or policy.tokenizer.chat_template is None for p in prompts]
    rows = [
        policy.tokenizer(text, add_special_tokens=add)["input_ids"]
        for text, add in zip(texts, adds_special, strict=True)
    ]
    longest = max(len(row) for row in rows)
    limit = getattr(policy.model.config, "max_position_embeddings", None)
    for text, row in zip(texts, rows, strict=True):
        if not row:
            raise ConfigError(f"the prompt {text!r} has no token")
        if limit is not None and len(row) >= limit:
            raise ConfigError(f"the prompt {text[:40]!r}… has {len(row)} tokens; the model takes fewer than {limit}")
        check_in_table(policy, row)
    ids = torch.full((len(rows), longest), policy.pad_id)
    mask = torch.zeros((len(rows), longest), dtype=torch.bool)
    for i, row in enumerate(rows):
        ids[i, longest - len(row) :] = torch.tensor(row)
        mask[i, longest - len(row) :] = True
    return PromptBatch(texts, ids.to(policy.device), mask.to(policy.device))
