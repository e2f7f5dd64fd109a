import re

from workbench.engine.learned_reward import LEARNED_REWARD
from workbench.tasks.builtin.names import BUILTIN_REWARDS, load_builtin
from workbench.tasks.registry import TASKS
from workbench.tasks.rewards import reward_name
from workbench.views.words import REWARDS, WORDS


def test_both_languages_have_the_same_blanks():
    for english, chinese in WORDS.values():
        assert sorted(re.findall(r"{\w+}", english)) == sorted(re.findall(r"{\w+}", chinese))
        assert english and chinese


def test_every_bundled_reward_has_a_name_in_both_languages():
    functions = [function for task in TASKS.values() for function in task.reward_functions]
    names = {reward_name(function) for function in (*functions, *map(load_builtin, BUILTIN_REWARDS))}
    assert names | {LEARNED_REWARD} == REWARDS.keys()
