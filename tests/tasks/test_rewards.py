import asyncio
import dataclasses
import functools
import math

import numpy as np
import pytest
import torch

from workbench.errors import ConfigError
from workbench.tasks.base import Reward
from workbench.tasks.registry import TASKS
from workbench.tasks.rewards import (
    RewardError,
    Scorer,
    columns_of,
    is_reward_model,
    load_reward,
    load_rewards,
    reward_name,
    score,
    total_rewards,
)


def returning(values, name="mine"):
    def function(prompts, completions, **columns):
        return values

    function.__name__ = name
    return function


def test_rewards_are_found_by_qualified_name_by_the_tasks_own_name_and_in_files(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "def by_length(prompts, completions, **columns):\n    return [len(c) for c in completions]\nNUMBER = 3\n"
    )
    assert load_reward("addition.steps") is TASKS["addition"].reward_functions[1]
    assert load_reward("exact", TASKS["sorting"]) is TASKS["sorting"].reward_functions[0]
    assert score(load_rewards([f"{file}:by_length"]), ["p", "p"], ["ab", "字"]) == {"by_length": [2, 1]}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "nothing",
            "reward='nothing'.*addition.answer, .*accuracy_reward, .*path/to/file.py:function, or a folder or hub id",
        ),
        ("{folder}/absent.py:f", "absent.py' does not exist"),
        ("{folder}/mine.py:absent", "has no 'absent'; its functions are present"),
        ("{folder}/mine.py:NUMBER", "'NUMBER'.* is a int, not a function"),
        ("{folder}/broken.py:f", "broken.py' cannot be imported: SyntaxError"),
    ],
)
def test_a_reward_that_cannot_be_loaded_is_told_in_one_sentence(tmp_path, name, sentence):
    (tmp_path / "mine.py").write_text("NUMBER = 3\ndef present(): ...\n")
    (tmp_path / "broken.py").write_text("def")
    with pytest.raises(ConfigError, match=sentence):
        load_reward(name.format(folder=tmp_path))


def test_trls_rewards_are_found_by_their_names_and_scored_under_trls_metric():
    names = ["think_format_reward", "get_soft_overlong_punishment(max_completion_len=4, soft_punish_cache=2)"]
    scores = score(load_rewards(names), ["p", "p"], ["<think>a</think>b", "a"], [[1], [1, 2, 3]])
    assert scores == {"think_format_reward": [1, 0], "soft_overlong_punishment_reward": [0, -0.5]}
    with pytest.raises(ConfigError, match="two reward functions are called 'think_format_reward'"):
        load_rewards(["think_format_reward", "think_format_reward"])


def test_a_reward_model_is_a_folder_with_a_config_or_a_hub_id_that_is_no_functions_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("judge", "org/local", "org/empty", "accuracy_reward"):
        (tmp_path / folder).mkdir(parents=True)
        if folder != "org/empty":
            (tmp_path / folder / "config.json").write_text("{}")
    models = ["judge", str(tmp_path / "judge"), "./judge", "org/local", "org/hub-id", "Org-1/name_2.5"]
    others = [
        "",
        "org/empty",
        "accuracy_reward",
        "addition.answer",
        "get_cosine_scaled_reward(3)",
        "get_cosine_scaled_reward",
    ]
    others += [
        "absent",
        "./absent",
        "/absent/folder",
        "~/absent",
        "a/b/c",
        "org/mine.py",
        "org/mine.py:score",
        "o" * 9000,
        "a b/c",
    ]
    assert [name for name in models + others if is_reward_model(name)] == models
    assert not is_reward_model(
        "judge", dataclasses.replace(TASKS["addition"], reward_functions=(returning([1], "judge"),) * 3)
    )
    with pytest.raises(ConfigError, match="'org/hub-id' is a reward model, not a function: the engine loads it"):
        load_reward("org/hub-id")


def test_two_functions_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="two reward functions are called 'format'"):
        load_rewards(["addition.format", "sorting.format"])


def test_names_of_partials_and_objects():
    class Judge:
        def __call__(self, **keywords): ...

    assert reward_name(functools.partial(returning([1]), 1)) == "mine"
    assert reward_name(Judge()) == "Judge"


def test_functions_get_every_keyword_that_trl_passes_and_reserved_columns_do_not_collide():
    seen, metrics = {}, []

    def spy(prompts, completions, completion_ids, target, trainer_state, log_extra, log_metric, **rest):
        seen.update(locals())
        log_extra("column", ["x"])
        log_metric("metric", 1.0)
        return [1.0]

    with Scorer([spy]) as scorer:
        columns = {"target": ["7"], "prompt": ["p"], "completions": ["no"]}
        scorer.score(["p"], ["c"], [[1, 2]], columns, log_metric=lambda name, value: metrics.append((name, value)))
    assert (seen["prompts"], seen["completions"], seen["completion_ids"]) == (["p"], ["c"], [[1, 2]])
    assert (seen["target"], seen["trainer_state"], seen["rest"]) == (["7"], None, {})
    assert metrics == [("metric", 1.0)]


def test_reasons_survive_and_none_and_nan_are_not_applicable_with_a_reason():
    (rewards,) = score([returning([Reward(0.5, "half"), None, math.nan])], ["p"] * 3, ["c"] * 3).values()
    assert (rewards[0], rewards[0].reason) == (0.5, "half")
    assert [reward.is_applicable for reward in rewards] == [True, False, False]
    assert "None" in rewards[1].reason and "NaN" in rewards[2].reason


@pytest.mark.parametrize(
    "values", [[1, True], np.array([1.0, 1.0]), torch.ones(2), (np.float32(1), np.True_), [torch.tensor(1), 1]]
)
def test_any_kind_of_number_is_a_reward(values):
    assert score([returning(values)], ["p"] * 2, ["c"] * 2) == {"mine": [1.0, 1.0]}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([1.0], "'mine' returned 1 values for 2 completions"),
        ([], "returned 0 values for 2"),
        (1.0, "returned a float, not a list"),
        (None, "returned a NoneType, not a list"),
        ("ab", "returned a str, not a list"),
        ([1.0, "1.0"], "returned '1.0', a str, not a number"),
        ([1.0, 1j], "a complex, not a number"),
        ([1.0, math.inf], "returned inf, which is not finite"),
        ([-math.inf, 1.0], "returned -inf, which is not finite"),
        ([1.0, 10**400], "returned inf, which is not finite"),
        (torch.ones(2, 2), r"returned tensor\(\[1., 1.\]\), a Tensor, not a number"),
        ((1 / number for number in (1, 0)), "'mine' raised ZeroDivisionError: division by zero"),
    ],
)
def test_what_is_not_one_number_per_completion_is_refused(values, sentence):
    with pytest.raises(RewardError, match=sentence):
        score([returning(values)], ["p"] * 2, ["c"] * 2)


def test_a_function_that_raises_is_named_with_its_error_and_the_first_prompt():
    def broken(prompts, **columns):
        return [1 / 0 for _ in prompts]

    async def broken_later(prompts, **columns):
        raise KeyError("target")

    with pytest.raises(RewardError, match=r"'broken' raised ZeroDivisionError: .*23\+47") as caught:
        score([broken], ["23+47=?"], ["c"])
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(RewardError, match="'broken_later' raised KeyError"):
        score([broken_later], ["23+47=?"], ["c"])


def test_async_functions_run_together_keep_one_loop_and_work_inside_a_running_loop():
    loops, meeting = [], []

    def meet(name):
        async def function(prompts, **columns):
            meeting.append(name)
            loops.append(asyncio.get_running_loop())
            while len(set(meeting)) < 2:  # passes only if the other has started as well
                await asyncio.sleep(0.001)
            return [1.0 for _ in prompts]

        function.__name__ = name
        return function

    async def in_a_notebook():
        with Scorer([meet("first"), returning([0.0]), meet("second")]) as scorer:
            return [scorer.score(["p"], ["c"]) for _ in range(2)]

    scores = asyncio.run(in_a_notebook())
    assert scores == [{"first": [1.0], "mine": [0.0], "second": [1.0]}] * 2
    assert list(scores[0]) == ["first", "mine", "second"]
    assert len(set(loops)) == 1


@pytest.mark.parametrize("end", [SystemExit(3), KeyboardInterrupt()])
@pytest.mark.parametrize("is_deeper", [False, True])
def test_an_async_function_that_ends_the_program_ends_it_from_the_callers_thread(end, is_deeper):
    async def leave():
        raise end

    async def leaving(prompts, **columns):
        await (asyncio.create_task(leave()) if is_deeper else leave())

    async def waiting(prompts, **columns):
        await asyncio.sleep(0)
        return [1.0 for _ in prompts]

    with Scorer([waiting, leaving]) as scorer, pytest.raises(type(end)):
        scorer.score(["p"], ["c"])


def test_an_async_function_that_cancels_itself_is_named_and_the_loop_goes_on():
    async def cancelling(prompts, **columns):
        task = asyncio.current_task()
        assert task is not None and task.cancel()
        if prompts == ["p"]:
            await asyncio.sleep(1)

    async def sound(prompts, **columns):
        return [1.0 for _ in prompts]

    with Scorer([sound, cancelling]) as scorer:
        for prompt in ("p", "q"):
            with pytest.raises(RewardError, match="'cancelling' raised CancelledError"):
                scorer.score([prompt], ["c"])
        assert scorer._loop is not None and scorer._loop.run(sound(["p"])) == [1.0]


def test_totals_leave_out_what_does_not_apply():
    scores = {"a": [Reward(1), Reward(math.nan), Reward(math.nan)], "b": [Reward(0.5), Reward(0.5), Reward(math.nan)]}
    totals = total_rewards(scores, [2.0, 1.0])
    assert totals[:2] == [2.5, 0.5] and math.isnan(totals[2])


def test_columns_are_lists_without_the_prompt():
    assert columns_of([{"prompt": "a", "target": 1}, {"prompt": "b"}]) == {"target": [1, None]}
    assert columns_of([]) == {}
    assert score([returning([])], [], []) == {"mine": []}


def test_a_reward_function_of_trls_own_runs_unchanged():
    rewards = pytest.importorskip("trl.rewards")
    completions = [[{"role": "assistant", "content": "<think>a</think>b"}]]
    assert score([rewards.think_format_reward], ["p"], completions) == {"think_format_reward": [1.0]}
