"""Reward models: a sequence-classification head with one label, called like any reward function."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedTokenizerBase

from workbench.engine.device import find_device
from workbench.engine.loading import load, load_padding_tokenizer
from workbench.engine.prompts import whole_contents
from workbench.errors import ConfigError
from workbench.run.config import RunConfig
from workbench.tasks.base import Reward, Text
from workbench.tasks.reward_models import check_reward_model, reward_model_name


@dataclass(eq=False)
class RewardModel:
    """Scores completions as TRL's GRPOTrainer does: read as one text, padded on the right, the only logit.

    The score is used as it is: advantages are differences within a group, so a constant cancels, and where they are
    divided by the group's deviation a factor does too.
    """

    name: str
    model: Any
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
    batch_size: int
    read: Callable[[Text, Text], str]  # prompt and completion to the text that is scored
    autocast: Callable[[], AbstractContextManager] = nullcontext

    @property
    def __name__(self) -> str:
        return self.name

    def __call__(self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any) -> list[Reward]:
        """Return each completion's score; NaN, and why, where the model cannot read the text."""
        texts = [self.read(prompt, completion) for prompt, completion in zip(prompts, completions, strict=True)]
        refusals = [self.refusal(text) for text in texts]
        readable = [text for text, refusal in zip(texts, refusals, strict=True) if refusal is None]
        parts = [readable[start : start + self.batch_size] for start in range(0, len(readable), self.batch_size)]
        with torch.inference_mode():
            scores = iter([score for part in parts for score in self.scores(part).tolist()])
        return [
            Reward(next(scores), f"the score that {self.name} gives") if refusal is None else Reward(math.nan, refusal)
            for refusal in refusals
        ]

    def refusal(self, text: str) -> str | None:
        """Return why the model cannot read the text, or None if it can."""
        num_tokens = len(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        limit = getattr(self.model.config, "max_position_embeddings", None) or num_tokens
        if num_tokens == 0:
            return "prompt and completion have no token"
        if num_tokens > limit:
            return f"prompt and completion have {num_tokens} tokens, and {self.name} reads {limit}"
        return None

    def scores(self, texts: Sequence[str]) -> Float[Tensor, " B"]:
        """Return the scores of texts that can be read, in one pass, in float32 and with their gradient."""
        inputs = self.tokenizer(
            text=list(texts), return_tensors="pt", padding=True, padding_side="right", add_special_tokens=False
        ).to(self.device)
        with self.autocast():
            return self.model(**inputs).logits[:, 0].float()


def load_reward_model(name: str, config: RunConfig) -> RewardModel:
    """Return the reward model of that folder or hub id, in the precision it was saved in, on the run's device.

    Raises ConfigError where there is none, or where it has no head, more than one label or no tokenizer.
    """
    check_reward_model(name)
    folder = Path(name).expanduser()
    location = str(folder) if folder.is_dir() else name
    model = _load_model(name, location)
    tokenizer = load_padding_tokenizer(f"reward={name!r}", location)
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id  # the last token that is not this is scored
    device = find_device(config.device)
    model.to(device).eval().requires_grad_(False)
    read = partial(whole_text, tokenizer)
    return RewardModel(reward_model_name(name), model, tokenizer, device, config.micro_batch_size, read)


def whole_text(tokenizer: Any, prompt: Text, completion: Text) -> str:
    """Return prompt and completion as the one text that TRL scores: a conversation goes through the chat template."""
    if isinstance(prompt, str):
        assert isinstance(completion, str), "a prompt that is a text has a completion that is one"
        return prompt + completion
    return str(tokenizer.apply_chat_template(whole_contents([*prompt, *completion]), tokenize=False))


def _load_model(name: str, location: str) -> Any:
    owner = f"reward={name!r}"
    num_labels = load(owner, AutoConfig.from_pretrained, location).num_labels
    if num_labels != 1:
        raise ConfigError(f"{owner} has {num_labels} labels; a reward model has one, whose logit is the reward")
    from_pretrained = AutoModelForSequenceClassification.from_pretrained
    model, report = load(owner, from_pretrained, location, num_labels=1, output_loading_info=True)
    if report["missing_keys"]:
        missing = ", ".join(sorted(report["missing_keys"]))
        raise ConfigError(f"{owner} is no reward model: it lacks {missing}, which would be random numbers")
    return model
