"""Completions to rewards: the reward functions of a run, called as TRL calls them, and their weighted sum."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.errors import ConfigError
from workbench.run.config import RunConfig
from workbench.tasks.base import Example, Reward, Task
from workbench.tasks.rewards import Scorer, columns_of, load_rewards, reward_name, total_rewards


@dataclass(frozen=True)
class Judge:
    """The reward functions of a run with their weights.

    `max_reward` is known for a task's own functions only. A completion is correct where the function `truth` gives 1.
    """

    scorer: Scorer
    weights: Mapping[str, float]
    max_reward: float | None
    truth: str | None
    read_answer: Callable[[str], str | None]


@dataclass(frozen=True, eq=False)
class Judgement:
    """`by_function[name][i]` is completion i's unweighted reward and why; `totals` are NaN where none applied."""

    by_function: Mapping[str, Sequence[Reward]]
    totals: Float[Tensor, " B"]


def make_judge(config: RunConfig, task: Task, functions: Sequence[Callable[..., Any]] | None) -> Judge:
    """Return the judge that `config`, or the given functions, make; raise ConfigError if they cannot."""
    is_the_tasks = functions is None and not config.reward_funcs
    if functions is None:
        functions = load_rewards(config.reward_funcs, task) if config.reward_funcs else task.reward_functions
    weights = config.reward_weights or (task.reward_weights if is_the_tasks else (1.0,) * len(functions))
    if len(weights) != len(functions):
        raise ConfigError(f"reward_weights has {len(weights)} values but there are {len(functions)} reward functions")
    names = [reward_name(function) for function in functions]
    own = all(function in task.reward_functions for function in functions)  # a task's own rewards lie in [0, 1]
    max_reward = sum(max(weight, 0.0) for weight in weights) if own else None
    truth = reward_name(task.reward_functions[0]) if task.reward_functions[0] in functions else None
    return Judge(Scorer(functions), dict(zip(names, weights, strict=True)), max_reward, truth, task.read_answer)


def judge_completions(
    judge: Judge,
    examples: Sequence[Example],
    texts: Sequence[str],
    token_ids: Sequence[Sequence[int]],
    num_generations: int,
) -> Judgement:
    """Return the rewards of all completions, given one example a prompt and its completions next to each other.

    Raises RewardError, naming the function, when one raises or returns something that is not a number per completion.
    """
    repeated = [example for example in examples for _ in range(num_generations)]
    prompts = [example["prompt"] for example in repeated]
    completions = [
        text if isinstance(prompt, str) else [{"role": "assistant", "content": text}]
        for prompt, text in zip(prompts, texts, strict=True)
    ]
    by_function = judge.scorer.score(prompts, completions, token_ids, columns_of(repeated))
    totals = total_rewards(by_function, list(judge.weights.values()))
    return Judgement(by_function, torch.tensor(totals, dtype=torch.float32))
