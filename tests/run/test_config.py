import json
import math
from pathlib import Path

import numpy as np
import pytest

from workbench.errors import ConfigError
from workbench.run.config import RunConfig

HUGE = 10**400


@pytest.mark.parametrize(
    ("setting", "bad"),
    [
        ("model", ""),
        ("model", None),
        ("task", "  "),
        ("prompts_per_step", 0),
        ("prompts_per_step", 1.5),
        ("prompts_per_step", True),
        ("prompts_per_step", "8"),
        ("prompts_per_step", HUGE),
        ("max_steps", -1),
        ("max_steps", math.inf),
        ("seed", -1),
        ("seed", 2**31),
        ("seed", math.nan),
        ("device", "gpu"),
        ("dtype", "float16"),
        ("lora_r", 0),
        ("max_grad_norm", 0.0),
        ("max_grad_norm", math.nan),
        ("max_grad_norm", HUGE),
        ("weight_decay", 1.1),
        ("micro_batch_size", 0),
        ("score_reference", 1),
        ("score_reference", None),
        ("reward_funcs", "answer"),
        ("reward_funcs", [1]),
        ("reward_funcs", [""]),
        ("reward_weights", [math.nan]),
        ("reward_weights", ["1"]),
        ("reward_weights", [HUGE]),
        ("reward_weights", 1.0),
        ("dataset", 3),
        ("save_steps", 0),
    ],
    ids=lambda value: repr(value)[:12],
)
def test_a_bad_value_is_refused_in_a_sentence_that_begins_with_its_name(setting, bad):
    with pytest.raises(ConfigError, match=rf"^{setting}=.* is not allowed: it must be "):
        RunConfig(**{setting: bad})


def test_scalars_of_numpys_and_paths_are_taken_as_pythons_own():
    given = {"seed": np.arange(3)[2], "weight_decay": np.float32(0.5), "score_reference": np.False_}
    paths = {"dataset": Path("my.jsonl"), "model": Path("models/mine"), "reward_funcs": [Path("mine.py:score")]}
    config = RunConfig.from_mapping(given | paths | {"reward_weights": [np.float64(2)]})
    expected = {"seed": 2, "weight_decay": 0.5, "score_reference": False, "dataset": "my.jsonl"}
    expected |= {"model": "models/mine", "reward_funcs": ("mine.py:score",), "reward_weights": (2.0,)}
    assert config == RunConfig(**expected)
    assert {name: type(getattr(config, name)) for name in expected} == {name: type(v) for name, v in expected.items()}
    assert json.loads(json.dumps(config.as_dict()))["reward_weights"] == [2.0]


def test_an_unknown_setting_is_refused_with_the_list_of_settings():
    with pytest.raises(
        ConfigError, match=r"unknown setting 'lora_rank': the settings are method, model, task, .*lora_r, "
    ):
        RunConfig.from_mapping({"lora_rank": 8})


def test_weights_and_functions_must_be_as_many():
    with pytest.raises(ConfigError, match="reward_weights has 1 values but there are 2 reward functions"):
        RunConfig(reward_funcs=("answer", "steps"), reward_weights=(1.0,))


def test_a_form_with_blanks_and_a_json_file_with_lists_give_the_same_config_as_python():
    config = RunConfig(task="sorting", reward_funcs=("order",), reward_weights=(2,), max_steps=5)
    form = {"task": " sorting ", "dataset": "", "reward_funcs": ["order"], "reward_weights": [2.0], "max_steps": 5.0}
    assert RunConfig.from_mapping(form) == config
    assert RunConfig.from_mapping(json.loads(json.dumps(config.as_dict()))) == config
    assert type(RunConfig.from_mapping(form).max_steps) is int
