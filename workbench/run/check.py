"""Whether a config can be run, found out before anything is changed: task, prompts, rewards, model are looked up."""

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any

from workbench.errors import ConfigError, KnobError
from workbench.models.location import model_location
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs
from workbench.run.methodrules import check_together
from workbench.tasks.base import RewardFunction, Task
from workbench.tasks.demonstrations import demonstration_of
from workbench.tasks.prompts import is_hub_id, load_examples
from workbench.tasks.registry import get_task
from workbench.tasks.reward_models import check_reward_model, reward_model_name
from workbench.tasks.rewards import check_distinct, is_reward_model, load_rewards, load_step_rewards, reward_name


def check_run(config: RunConfig, *, has_own_rewards: bool = False) -> None:
    """Raise ConfigError, with one sentence, if the task, dataset, rewards or model of `config` is not there.

    What only the hub can tell (a hub id's model or dataset) is found out when the run loads.
    """
    task = get_task(config.task)
    functions = () if has_own_rewards else _check_rewards(config, task)
    if config.step_rewards is not None:
        load_step_rewards(config.step_rewards, task)
    if config.method in ("rft", "online_rft") and not has_own_rewards:
        _check_truth(config, task, functions)
    model_location(config.model)
    is_on_hub = config.dataset is not None and is_hub_id(config.dataset)
    if config.dataset is not None and not is_on_hub:
        examples = iter(load_examples(config.dataset, config.prompt_column, config.dataset_split))
    else:
        examples = task.examples(config.seed)
    if config.method == "sft" and not is_on_hub:
        demonstration_of(next(examples), task, Random(config.seed))


def own_rewards(given: Any) -> list[Callable[..., Any]]:
    """Return the reward functions that the caller gives, a single one too; raise ConfigError if they are not that."""
    is_list = isinstance(given, Iterable) and not callable(given) and not isinstance(given, str)
    functions: list[Any] = list(given) if is_list else [given]
    if not functions:
        raise ConfigError(
            "reward_funcs is empty: give at least one function, or leave it out for the config's or the task's"
        )
    for function in functions:
        if not callable(function):
            raise ConfigError(
                f"reward_funcs holds {function!r:.80}, which is not a function: "
                "names of rewards go into RunConfig(reward_funcs=…)"
            )
    check_distinct(list(map(reward_name, functions)))
    return functions


def check_knobs(config: RunConfig, knobs: Knobs) -> None:
    """Raise KnobError, with one sentence, if `knobs` do not suit a run of `config`."""
    check_together(config, knobs)
    if knobs.supervision == "process" and config.step_rewards is None and get_task(config.task).step_rewards is None:
        raise KnobError(
            f"supervision='process' needs rewards for single steps, and task={config.task!r} has none: "
            "name a function in step_rewards, or take supervision='outcome'"
        )


def _check_rewards(config: RunConfig, task: Task) -> Sequence[RewardFunction]:
    """Return the reward functions, the models among the rewards left out; raise ConfigError if one is not there."""
    models = [name for name in config.reward_funcs if is_reward_model(name, task)]
    functions = load_rewards([name for name in config.reward_funcs if name not in models], task)
    for name in models:
        check_reward_model(name)
    if not config.reward_funcs:
        functions = task.reward_functions
    check_distinct([*map(reward_model_name, models), *map(reward_name, functions)])
    num_rewards = len(models) + len(functions)
    if config.reward_weights is not None and len(config.reward_weights) != num_rewards:
        raise ConfigError(
            f"reward_weights has {len(config.reward_weights)} values but there are {num_rewards} reward functions"
        )
    return functions


def _check_truth(config: RunConfig, task: Task, functions: Sequence[RewardFunction]) -> None:
    """Raise ConfigError unless the function that tells which completions are correct is among those of the run."""
    truth = task.reward_functions[0]
    if truth not in functions:
        raise ConfigError(
            f"method={config.method!r} learns from correct completions, and reward_funcs={config.reward_funcs} do not "
            f"tell which are: add {task.name}.{truth.__name__}, or take another task or method"
        )
