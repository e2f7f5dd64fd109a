"""Completions to rewards: the reward functions of a run, called as TRL calls them, and their weighted sum."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import TrainerState

from workbench.engine.reward_model import load_reward_model
from workbench.errors import ConfigError
from workbench.run.config import RunConfig
from workbench.tasks.base import Example, Reward, Task
from workbench.tasks.rewards import (
    Scorer,
    columns_of,
    is_reward_model,
    load_reward,
    reward_name,
    total_rewards,
)


@dataclass(frozen=True)
class Judge:
    """The reward functions of a run with their weights.

    `max_reward` is known for a task's own functions only. A completion is correct where the function `truth` gives 1.
    `true_weights` are those of the true reward in a run that is trained against a learned one, where they weigh 0.
    """

    scorer: Scorer
    weights: Mapping[str, float]
    max_reward: float | None
    truth: str | None
    read_answer: Callable[[str], str | None]
    true_weights: Mapping[str, float] | None = None

    def weights_by_function(self) -> Float[Tensor, " F"]:
        """Return the weights in float64, in the order of `Judgement.table`."""
        return torch.tensor(list(self.weights.values()), dtype=torch.float64)

    def correctness(self, judgement: "Judgement") -> list[bool | None]:
        """Return whether each completion is correct; None where the task cannot tell."""
        if self.truth is None:
            return [None] * len(judgement.totals)
        verdicts = judgement.by_function[self.truth]
        return [float(verdict) == 1.0 if verdict.is_applicable else None for verdict in verdicts]


@dataclass(frozen=True, eq=False)
class Judgement:
    """`by_function[name][i]` is completion i's unweighted reward and why; `totals` are NaN where none applied.

    `true_totals` are what the true reward would give, where the policy is trained against a learned one. `logged` are
    the numbers that the functions gave to `log_metric`. All in float64: rounded, equal sums would differ a little.
    """

    by_function: Mapping[str, Sequence[Reward]]
    totals: Float[Tensor, " B"]
    true_totals: Float[Tensor, " B"] | None = None
    logged: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def table(self) -> Float[Tensor, "B F"]:
        """Return the unweighted rewards."""
        columns = [[float(reward) for reward in rewards] for rewards in self.by_function.values()]
        return torch.tensor(columns, dtype=torch.float64).T

    def of_rows(self, rows: Sequence[int]) -> "Judgement":
        by_function = {name: [rewards[i] for i in rows] for name, rewards in self.by_function.items()}
        true_totals = None if self.true_totals is None else self.true_totals[list(rows)]
        return Judgement(by_function, self.totals[list(rows)], true_totals, self.logged)


def join_judgements(first: Judgement, second: Judgement) -> Judgement:
    """Return both judgements as one, the second's rows after the first's."""
    by_function = {name: [*rewards, *second.by_function[name]] for name, rewards in first.by_function.items()}
    true_totals = None
    if first.true_totals is not None and second.true_totals is not None:
        true_totals = torch.cat([first.true_totals, second.true_totals])
    names = {**first.logged, **second.logged}
    logged = {name: [*first.logged.get(name, ()), *second.logged.get(name, ())] for name in names}
    return Judgement(by_function, torch.cat([first.totals, second.totals]), true_totals, logged)


def make_judge(config: RunConfig, task: Task, functions: Sequence[Callable[..., Any]] | None) -> Judge:
    """Return the judge that `config`, or the given functions, make; raise ConfigError if they cannot."""
    is_the_tasks = functions is None and not config.reward_funcs
    if functions is None:
        functions = [_load(name, config, task) for name in config.reward_funcs] or task.reward_functions
    weights = config.reward_weights or (task.reward_weights if is_the_tasks else (1.0,) * len(functions))
    if len(weights) != len(functions):
        raise ConfigError(f"reward_weights has {len(weights)} values but there are {len(functions)} reward functions")
    names = [reward_name(function) for function in functions]
    own = all(function in task.reward_functions for function in functions)  # a task's own rewards lie in [0, 1]
    max_reward = sum(max(weight, 0.0) for weight in weights) if own else None
    truth = reward_name(task.reward_functions[0]) if task.reward_functions[0] in functions else None
    return Judge(Scorer(functions), dict(zip(names, weights, strict=True)), max_reward, truth, task.read_answer)


def against_learned(judge: Judge, learned: Callable[..., Any]) -> Judge:
    """Return the judge for whom only the learned reward counts; it still knows the true one. The old one is closed."""
    judge.scorer.close()
    functions = [learned, *judge.scorer.functions.values()]
    weights = {reward_name(learned): 1.0, **dict.fromkeys(judge.weights, 0.0)}
    return replace(judge, scorer=Scorer(functions), weights=weights, max_reward=None, true_weights=judge.weights)


def _load(name: str, config: RunConfig, task: Task) -> Callable[..., Any]:
    return load_reward_model(name, config) if is_reward_model(name, task) else load_reward(name, task)


def judge_completions(
    judge: Judge,
    examples: Sequence[Example],
    texts: Sequence[str],
    token_ids: Sequence[Sequence[int]],
    num_generations: int,
    trainer_state: TrainerState | None = None,
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
    logged: dict[str, list[float]] = {}
    by_function = judge.scorer.score(
        prompts,
        completions,
        token_ids,
        columns_of(repeated),
        trainer_state=trainer_state,
        log_metric=lambda name, value: logged.setdefault(name, []).append(float(value)),
    )
    totals = _totals(by_function, judge.weights)
    true_totals = _totals(by_function, judge.true_weights) if judge.true_weights else None
    return Judgement(by_function, totals, true_totals, logged)


def _totals(by_function: Mapping[str, Sequence[Reward]], weights: Mapping[str, float]) -> Float[Tensor, " B"]:
    weighed = {name: by_function[name] for name in weights}
    return torch.tensor(total_rewards(weighed, list(weights.values())), dtype=torch.float64)
