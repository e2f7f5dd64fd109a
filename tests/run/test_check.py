import pytest

from workbench.errors import ConfigError
from workbench.run.check import check_run
from workbench.run.config import RunConfig


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"model": "nonsense"}, "model='nonsense' is not there"),
        ({"model": "/no/such/folder"}, "model='/no/such/folder' is not there"),
        ({"task": "chess"}, "task='chess' is not a task"),
        ({"dataset": "no_such_file.jsonl"}, "does not exist"),
        ({"reward_funcs": ("nonsense",)}, "reward='nonsense' is not a reward"),
        ({"reward_weights": (1.0,)}, "reward_weights has 1 values but there are 3 reward functions"),
    ],
)
def test_what_is_not_there_is_found_out_before_the_run(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        check_run(RunConfig(**settings))


def test_a_hub_id_is_left_to_the_hub():
    for dataset in ("some-org/some-prompts", "some-org/prompts-v1.1"):
        check_run(RunConfig(model="some-org/some-model", dataset=dataset))


def test_own_rewards_come_with_their_own_number_of_weights():
    check_run(RunConfig(reward_weights=(1.0,)), has_own_rewards=True)
