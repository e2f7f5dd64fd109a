import importlib.util
import inspect

import pytest

from workbench.errors import ConfigError
from workbench.tasks.builtin.names import BUILTIN_REWARDS, EXAMPLES, FACTORIES, PLAIN, is_builtin, load_builtin


def test_every_reward_of_trl_is_here_by_its_name_with_its_metric_and_arguments():
    trl = pytest.importorskip("trl.rewards")
    exported = {name for names in trl._import_structure.values() for name in names}
    assert exported == PLAIN.keys() | FACTORIES.keys()
    for name in PLAIN:
        assert load_builtin(name).__name__ == getattr(trl, name).__name__ == name
    for name, factory in FACTORIES.items():
        theirs = inspect.signature(getattr(trl, name)).parameters
        ours = inspect.signature(factory).parameters
        assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()]
        required = {p.name: 8 for p in theirs.values() if p.default is p.empty}
        assert load_builtin(EXAMPLES[name]).__name__ == getattr(trl, name)(**required).__name__


@pytest.mark.parametrize("written", BUILTIN_REWARDS)
def test_every_reward_loads_as_the_list_writes_it(written):
    assert callable(load_builtin(written))


def test_arguments_are_read_by_place_by_name_and_from_the_defaults():
    make = FACTORIES["get_repetition_penalty_reward"]
    assert load_builtin("get_repetition_penalty_reward") == make(3, -1.0)
    assert load_builtin("get_repetition_penalty_reward()") == make(3, -1.0)
    assert load_builtin(" get_repetition_penalty_reward( 2, max_penalty = -0.5 ) ") == make(2, -0.5)
    assert load_builtin("get_soft_overlong_punishment(soft_punish_cache=16, max_completion_len=48)") == FACTORIES[
        "get_soft_overlong_punishment"
    ](48, 16)


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        (
            "get_soft_overlong_punishment",
            r"'max_completion_len'.*get_soft_overlong_punishment\(max_completion_len=48, ",
        ),
        ("get_cosine_scaled_reward()", r"'max_len'; it takes max_len, min_value_wrong, .*as in .*\(max_len=48\)"),
        ("get_cosine_scaled_reward(maxlen=4)", "there is no argument 'maxlen'; it takes max_len, min_value_wrong"),
        ("get_cosine_scaled_reward(4, max_len=4)", "multiple values for argument 'max_len'"),
        ("get_repetition_penalty_reward(1, 2, 3)", "too many positional arguments; it takes ngram_size, max_penalty"),
        ("get_repetition_penalty_reward(**{'ngram_size': 2})", r"there is no argument '\*\*'"),
        ("get_repetition_penalty_reward(*[2])", r"argument 1 is '\*\[2\]', not a number written out"),
        ("get_cosine_scaled_reward(max_len=open('a'))", r"max_len is .open\('a'\)., not a number written out"),
        ("get_cosine_scaled_reward(max_len=[].__class__)", "max_len is '.*', not a number written out"),
        ("get_cosine_scaled_reward(max_len='4')", "max_len='4' is not a whole number of at least 1"),
        ("get_cosine_scaled_reward(max_len=4, max_value_wrong=1e999)", "max_value_wrong=inf is not a finite number"),
        ("get_repetition_penalty_reward(max_penalty=1)", "max_penalty=1 is not a finite number of at most 0"),
        ("get_cosine_scaled_reward(4", r"cannot be read; write it as get_cosine_scaled_reward\(max_len=48\)"),
        ("get_cosine_scaled_reward(4) + 1", "cannot be read"),
        ("get_cosine_scaled_reward(4)(5)", "cannot be read"),
        ("get_cosine_scaled_reward(max_len=1, max_len=2)", "max_len is given twice"),
        ("get_cosine_scaled_reward(" + "(" * 9000, "cannot be read"),
        ("get_cosine_scaled_reward(\0)", "cannot be read"),
        ("think_format_reward()", "think_format_reward takes no arguments; write it without brackets"),
        ("accuracy_reward(", "accuracy_reward takes no arguments"),
    ],
)
def test_a_call_that_cannot_be_used_is_told_in_one_sentence(written, sentence):
    assert is_builtin(written)
    with pytest.raises(ConfigError, match=sentence):
        load_builtin(written)


@pytest.mark.parametrize(
    "name", ["", "answer", "addition.steps", "nothing(3)", "org/accuracy_reward", "accuracy", "(3)"]
)
def test_other_names_are_left_to_others(name):
    assert not is_builtin(name)
    assert load_builtin(name) is None


def test_without_math_verify_only_the_rewards_that_need_it_are_refused(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for written in ("accuracy_reward", "reasoning_accuracy_reward", "get_cosine_scaled_reward(max_len=4)"):
        with pytest.raises(ConfigError, match="needs the library math_verify: pip install"):
            load_builtin(written)
    assert load_builtin("think_format_reward") is not None
