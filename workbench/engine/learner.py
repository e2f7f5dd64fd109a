"""Everything that lives as long as a run and that its steps work with."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from workbench.engine.critic import Critic
from workbench.engine.learned_reward import LearnedReward
from workbench.engine.limits import Yardstick
from workbench.engine.policy import Policy
from workbench.engine.rewards import Judge
from workbench.engine.vocabulary import Vocabulary
from workbench.run.config import RunConfig
from workbench.tasks.base import Example, StepReward, Task


@dataclass(eq=False)
class Learner:
    """A run's policy with its optimizer, its prompts, and who judges its completions."""

    config: RunConfig
    task: Task
    policy: Policy
    optimizer: torch.optim.Optimizer
    examples: Iterator[Example]
    judge: Judge
    vocabulary: Vocabulary
    step_rewards: Callable[[str, str, Mapping[str, Any]], list[StepReward]] | None  # for process supervision
    learned_reward: LearnedReward | None = None  # what the policy is trained against, where it is not the true reward
    critic: Critic | None = None  # PPO's
    yardstick: Yardstick | None = None  # what a step's time is compared with; None: with nothing

    def generator(self, step: int, round: int = 0) -> torch.Generator:
        """Return the source of a step's randomness: the same for the same seed, whatever came before."""
        seed = self.config.seed * 1_000_003 + step + round * 7_919_000_003
        return torch.Generator(self.policy.device).manual_seed(seed)
