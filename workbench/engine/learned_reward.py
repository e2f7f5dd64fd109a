"""A reward model that a run trains itself: to rank the policy's own completions as the true reward does."""

import copy
import random
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification

from workbench.engine.loading import load, load_padding_tokenizer
from workbench.engine.lora import with_adapter_beside
from workbench.engine.policy import Policy
from workbench.engine.prompts import render_prompt
from workbench.engine.reward_model import RewardModel
from workbench.errors import ConfigError
from workbench.grpo import bradley_terry_loss
from workbench.models.location import model_location
from workbench.run.config import RunConfig
from workbench.run.record import Progress
from workbench.tasks.base import Text, text_of

LEARNED_REWARD = "learned_reward"
PAIRS_A_STEP = 32
MAX_PAIRS = 8192  # kept of the newest round, and as many of all earlier ones together


class Pair(NamedTuple):
    """Two completions of a prompt, each with the prompt before it: the better one, and the other."""

    chosen: str
    rejected: str


@dataclass(eq=False)
class PairPool:
    """The ranked pairs to learn from: those of the newest round, and a bounded sample of those of earlier rounds."""

    replay: float  # share of a batch that comes from earlier rounds
    newest: deque[Pair] = field(default_factory=lambda: deque(maxlen=MAX_PAIRS))
    earlier: list[Pair] = field(default_factory=list)

    def add(self, pairs: Iterable[Pair]) -> None:
        self.newest.extend(pairs)

    def draw(self, size: int, rng: random.Random) -> list[Pair]:
        """Return `size` pairs, with repetition; there must be some of the newest round."""
        num_replayed = round(size * self.replay) if self.earlier else 0
        replayed = rng.choices(self.earlier, k=num_replayed) if num_replayed else []
        return rng.choices(self.newest, k=size - num_replayed) + replayed

    def close_round(self, rng: random.Random) -> None:
        """Make the newest round an earlier one."""
        pairs = [*self.earlier, *self.newest]
        self.earlier = rng.sample(pairs, min(len(pairs), MAX_PAIRS))
        self.newest.clear()


@dataclass(eq=False)
class LearnedReward:
    """A reward model on the policy's base weights, with an adapter and a head of its own.

    Its randomness is its own: neither the policy's weights nor any other random number depend on its training.
    """

    model: RewardModel
    optimizer: torch.optim.Optimizer
    config: RunConfig
    pool: PairPool
    num_trainings: int = 0

    def add(self, pairs: Iterable[Pair]) -> None:
        """Keep the pairs for the next training, but those of a text that the model cannot read."""
        self.pool.add(pair for pair in pairs if not any(map(self.model.refusal, pair)))

    def train(self, step: int) -> Generator[Progress, None, None]:
        """Train on the newest round's pairs and a share of earlier ones, yielding after each gradient step.

        Without a pair, where all rewards of every group are equal, nothing is learned.
        """
        rng = random.Random(f"{self.config.seed}-{self.num_trainings}")
        self.num_trainings += 1
        total = self.config.reward_model_steps if self.pool.newest else 0
        yield Progress(step, "reward_model", 0, total)
        for done in range(1, total + 1):
            self._learn(self.pool.draw(PAIRS_A_STEP, rng))
            yield Progress(step, "reward_model", done, total)
        self.pool.close_round(rng)

    def _learn(self, pairs: Sequence[Pair]) -> None:
        """Lower the Bradley-Terry loss of the pairs by one step of the optimizer."""
        size = max(1, self.config.micro_batch_size // 2)
        for start in range(0, len(pairs), size):
            part = pairs[start : start + size]
            scores = self.model.scores([pair.chosen for pair in part] + [pair.rejected for pair in part])
            loss = bradley_terry_loss(scores[: len(part)], scores[len(part) :]).sum() / len(pairs)
            loss.backward()
        weights = [weight for group in self.optimizer.param_groups for weight in group["params"]]
        if torch.nn.utils.clip_grad_norm_(weights, self.config.max_grad_norm).isfinite():
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def load_learned_reward(config: RunConfig, policy: Policy) -> LearnedReward:
    """Return an untrained reward model; raise ConfigError if the policy's kind of model cannot have a head.

    It reads what the policy read and wrote. Its scores have no scale of their own and are not brought to one: see
    RewardModel.
    """
    tokenizer = load_padding_tokenizer(f"model={config.model!r}", model_location(config.model))
    with torch.random.fork_rng(devices=[policy.device] if policy.device.type == "cuda" else []):
        torch.manual_seed(config.seed)
        base = _classifier_on_weights_of(policy, f"model={config.model!r}", tokenizer.pad_token_id)
        model = with_adapter_beside(base, config, "SEQ_CLS")
    model.eval()
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    for weight in trained:
        weight.data = weight.data.float()  # in bfloat16 a small step of the optimizer would be rounded away
    optimizer = torch.optim.AdamW(trained, lr=config.reward_model_learning_rate, weight_decay=0.0, fused=True)
    read = partial(_text_of_policy, tokenizer)
    scorer = RewardModel(
        LEARNED_REWARD, model, tokenizer, policy.device, config.micro_batch_size, read, policy.autocast
    )
    return LearnedReward(scorer, optimizer, config, PairPool(config.reward_model_replay))


def _classifier_on_weights_of(policy: Policy, owner: str, pad_token_id: int) -> Any:
    """Return the policy's kind of model with a new head of one label, on the policy's base weights, not on a copy."""
    settings = copy.deepcopy(policy.model.config)
    settings.num_labels = 1
    settings.get_text_config().pad_token_id = pad_token_id
    model = load(f"{owner} with a head for a learned reward", AutoModelForSequenceClassification.from_config, settings)
    shared = _base_weights(policy)
    for name, weight in model.named_parameters():
        if name in shared:
            weight.data = shared[name]
        elif name.partition(".")[0] not in ("score", "classifier"):
            raise ConfigError(f"{owner} cannot have a head for a learned reward: its base model has no weight {name}")
    return model.to(policy.device)


def _base_weights(policy: Policy) -> dict[str, Tensor]:
    """Return the base model's weights by the names they had before the adapter was put beside them."""
    weights = policy.model.get_base_model().named_parameters()
    return {name.replace(".base_layer.", "."): weight.data for name, weight in weights if "lora_" not in name}


def _text_of_policy(tokenizer: Any, prompt: Text, completion: Text) -> str:
    return render_prompt(tokenizer, prompt) + text_of(completion)
