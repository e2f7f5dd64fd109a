import itertools
import random

import pytest

from workbench.models.demonstrations import DEMONSTRATE, FAULTLESS, Habits, demonstrations, solutions
from workbench.tasks.registry import TASKS


@pytest.mark.parametrize("name", DEMONSTRATE)
def test_a_faultless_demonstration_earns_what_a_right_answer_can(name):
    task, rng = TASKS[name], random.Random(0)
    for example in itertools.islice(task.examples(5), 100):
        completion = DEMONSTRATE[name](example, FAULTLESS, rng)
        columns = {key: [value] for key, value in example.items() if key != "prompt"}
        rewards = [
            f(prompts=[example["prompt"]], completions=[completion], **columns)[0] for f in task.reward_functions
        ]
        weighted = sum(weight * reward for weight, reward in zip(task.reward_weights, rewards, strict=True))
        assert weighted == pytest.approx(task.max_reward), completion


def test_every_solution_is_one_and_none_is_missing():
    assert solutions(9, [2, 5, 6]) == [[5, -2, 6], [5, 6, -2], [6, -2, 5], [6, 5, -2]]
    assert solutions(100, [2, 5, 6]) == []


def test_the_seed_decides_the_demonstrations():
    first, again, other = (list(itertools.islice(demonstrations(Habits(), seed), 40)) for seed in (1, 1, 2))
    assert first == again != other
