"""Whether a config can be run, found out before anything is changed: task, prompts, rewards, model are looked up."""

from pathlib import Path

from workbench.errors import ConfigError
from workbench.models.location import model_location
from workbench.run.config import RunConfig
from workbench.tasks.prompts import load_examples
from workbench.tasks.registry import get_task
from workbench.tasks.rewards import load_rewards


def check_run(config: RunConfig, *, has_own_rewards: bool = False) -> None:
    """Raise ConfigError, with one sentence, if the task, dataset, rewards or model of `config` is not there.

    What only the hub can tell (a hub id's model or dataset) is found out when the run loads.
    """
    task = get_task(config.task)
    functions = [] if has_own_rewards else load_rewards(config.reward_funcs, task) or task.reward_functions
    weights = config.reward_weights
    if not has_own_rewards and weights is not None and len(weights) != len(functions):
        raise ConfigError(f"reward_weights has {len(weights)} values but there are {len(functions)} reward functions")
    model_location(config.model)
    if config.dataset is not None and not _is_hub_id(config.dataset):
        load_examples(config.dataset, config.prompt_column, config.dataset_split)


def _is_hub_id(dataset: str) -> bool:
    return (
        not Path(dataset).expanduser().exists() and not Path(dataset).suffix and not dataset.startswith((".", "/", "~"))
    )
