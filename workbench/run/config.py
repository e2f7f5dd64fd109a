"""What is fixed for a run: model, prompts, rewards, LoRA, seed. What may be turned during a run is in `knobs.py`."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from workbench.errors import ConfigError
from workbench.run.bugs import BUGS
from workbench.run.fastpaths import ALL, FAST_PATHS
from workbench.run.plain import is_number, plain_value

METHODS = ("grpo", "ppo", "dpo", "sft", "rft", "online_rft")


def setting(default: Any, help: str, *, low: float | None = None, high: float | None = None, choices=()) -> Any:
    return field(default=default, metadata={"help": help, "low": low, "high": high, "choices": tuple(choices)})


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """The settings of one run. Raises ConfigError, naming setting, value and what is allowed, when one is unusable."""

    method: str = setting("grpo", "what is trained: GRPO, or a neighbour to compare it with", choices=METHODS)
    model: str = setting("tiny", "a bundled model's name (tiny), a local folder, or a hub id")
    task: str = setting("addition", "the built-in task that gives the prompts and the reward functions")
    dataset: str | None = setting(None, "prompts from a .jsonl, .json, .csv or .parquet file, a folder, or a hub id")
    dataset_split: str = setting("train", "the split of a hub dataset")
    prompt_column: str = setting("prompt", "the dataset's column with the prompt, a string or a list of messages")
    reward_funcs: tuple[str, ...] = setting(
        (), "reward functions, by a task's name or as file.py:function; none: the task's"
    )
    reward_weights: tuple[float, ...] | None = setting(
        None, "one weight for each reward function; none: the task's, or 1"
    )
    prompts_per_step: int = setting(8, "prompts in a step; each gets G completions", low=1, high=4096)
    max_steps: int = setting(200, "steps after which the run ends", low=1, high=10_000_000)
    seed: int = setting(
        0, "seed of the prompts' order, the LoRA initialisation and the sampling", low=0, high=2**31 - 1
    )
    device: str = setting("auto", "where to train", choices=("auto", "cpu", "cuda"))
    dtype: str = setting("auto", "auto: bfloat16 on CUDA, else float32", choices=("auto", "float32", "bfloat16"))
    lora_r: int = setting(8, "LoRA rank", low=1, high=1024)
    lora_alpha: int = setting(16, "LoRA alpha; the update is scaled by alpha / r", low=1, high=4096)
    max_grad_norm: float = setting(1.0, "gradients with a larger norm are scaled down to it", low=1e-6, high=1e6)
    weight_decay: float = setting(0.0, "AdamW's weight decay on the LoRA weights", low=0.0, high=1.0)
    micro_batch_size: int = setting(64, "most completions in a forward pass; fewer need less memory", low=1, high=65536)
    num_threads: int = setting(
        0, "CPU threads; 0: as many as a short test finds useful for a tiny model, else all cores", low=0, high=1024
    )
    plain_paths: tuple[str, ...] = setting(
        (), "fast paths to leave out, by name; all leaves out every one", choices=(ALL, *FAST_PATHS)
    )
    score_reference: bool = setting(True, "score the reference for display even when β is 0, so that KL can be seen")
    step_rewards: str | None = setting(None, "used while supervision=process: file.py:function; none: the task's")
    sync_ref_model: bool = setting(False, "reset the reference to the policy every ref_model_sync_steps steps")
    ref_model_sync_steps: int = setting(512, "steps between two resets of the reference", low=1, high=10_000_000)
    learn_reward: bool = setting(
        False, "train a reward model on the policy's ranked samples and the policy against it; the true reward is shown"
    )
    steps_per_round: int = setting(20, "steps between two trainings of the learned reward", low=1, high=10_000_000)
    refresh_reward_model: bool = setting(True, "train the learned reward anew every round, not only before the first")
    reward_model_replay: float = setting(0.1, "share of its pairs that come from earlier rounds", low=0.0, high=0.9)
    reward_model_steps: int = setting(30, "gradient steps in each training of the learned reward", low=1, high=100_000)
    reward_model_learning_rate: float = setting(1e-3, "AdamW's step size for the learned reward", low=0.0, high=1.0)
    gamma: float = setting(1.0, "PPO: the discount of later rewards", low=0.0, high=1.0)
    gae_lambda: float = setting(0.95, "PPO: λ of generalised advantage estimation", low=0.0, high=1.0)
    critic_learning_rate: float = setting(1e-3, "PPO: AdamW's step size for the critic", low=0.0, high=1.0)
    cliprange_value: float = setting(0.2, "PPO: how far a value may move in one step's updates", low=0.0, high=1e6)
    bug: str = setting("none", "a known mistake, built in on purpose to show its symptom", choices=("none", *BUGS))
    save_steps: int = setting(1, "steps between two saves of the adapter in the run folder", low=1, high=10_000_000)

    def __post_init__(self) -> None:
        for f in fields(self):
            object.__setattr__(self, f.name, _check(f, getattr(self, f.name)))
        weights, funcs = self.reward_weights, self.reward_funcs
        if weights is not None and funcs and len(weights) != len(funcs):
            raise ConfigError(f"reward_weights has {len(weights)} values but there are {len(funcs)} reward functions")

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> "RunConfig":
        """Return a config from plain values, as a form or a file holds them; raise ConfigError for unknown names."""
        names = [f.name for f in fields(cls)]
        for name in settings:
            if name not in names:
                raise ConfigError(f"unknown setting {name!r}: the settings are {', '.join(names)}")
        return cls(**settings)

    @property
    def title(self) -> str:
        """What a run is called: by its own prompts, where it has some, or by the task.

        >>> RunConfig().title, RunConfig(dataset="data/algebra.jsonl").title, RunConfig(dataset="org/math-v1.1").title
        ('addition', 'algebra', 'math-v1.1')
        """
        if self.dataset is None:
            return self.task
        path = Path(self.dataset)
        return path.stem if path.suffix[1:].isalpha() else path.name

    def uses(self, fast_path: str) -> bool:
        """Return whether the engine may take that fast path, one of FAST_PATHS, where model and device allow it.

        >>> RunConfig(plain_paths=("lean_model",)).uses("lean_model"), RunConfig().uses("lean_model")
        (False, True)
        """
        assert fast_path in FAST_PATHS, f"{fast_path} is no fast path"
        return fast_path not in self.plain_paths and ALL not in self.plain_paths

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def _check(f: Any, value: Any) -> Any:
    checks: dict[Any, Callable[[Any, Any], Any]] = {
        int: _check_int,
        float: _check_float,
        bool: _check_bool,
        str: _check_str,
        str | None: _check_optional_str,
        tuple[str, ...]: _check_names,
        tuple[float, ...] | None: _check_weights,
    }
    return checks[f.type](f, plain_value(value))


def _refuse(f: Any, value: Any, allowed: str) -> ConfigError:
    return ConfigError(f"{f.name}={value!r} is not allowed: it must be {allowed}")


def _check_int(f: Any, value: Any) -> int:
    low, high = f.metadata["low"], f.metadata["high"]
    if not _is_finite(value) or value != int(value) or not low <= value <= high:
        raise _refuse(f, value, f"a whole number in [{low}, {high}]")
    return int(value)


def _check_float(f: Any, value: Any) -> float:
    low, high = f.metadata["low"], f.metadata["high"]
    if not _is_finite(value) or not low <= value <= high:
        raise _refuse(f, value, f"a number in [{low:g}, {high:g}]")
    return float(value)


def _check_bool(f: Any, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _refuse(f, value, "true or false")
    return value


def _check_str(f: Any, value: Any) -> str:
    choices = f.metadata["choices"]
    if not isinstance(value, str) or not value.strip() or (choices and value not in choices):
        raise _refuse(f, value, f"one of {', '.join(choices)}" if choices else "a name that is not empty")
    return value.strip()


def _check_optional_str(f: Any, value: Any) -> str | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    return _check_str(f, value)


def _check_names(f: Any, value: Any) -> tuple[str, ...]:
    names = tuple(map(plain_value, value)) if isinstance(value, (list, tuple)) else None
    if names is None or not all(isinstance(name, str) and name for name in names):
        raise _refuse(f, value, "a list of names")
    choices = f.metadata["choices"]
    for name in names:
        if choices and name not in choices:
            raise _refuse(f, name, f"among {', '.join(choices)}")
    return names


def _check_weights(f: Any, value: Any) -> tuple[float, ...] | None:
    if value is None:
        return None
    if not isinstance(value, (list, tuple)) or not all(_is_finite(weight) for weight in value):
        raise _refuse(f, value, "a list of finite numbers")
    return tuple(float(weight) for weight in value)


def _is_finite(value: Any) -> bool:
    largest = sys.float_info.max  # compared, not converted: a huge int has no float
    return is_number(value) and -largest <= value <= largest
