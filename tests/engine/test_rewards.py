import math

import pytest
from transformers import TrainerState

from workbench.engine.rewards import against_learned, join_judgements, judge_completions, make_judge
from workbench.errors import ConfigError
from workbench.run.config import RunConfig
from workbench.tasks.registry import get_task
from workbench.tasks.rewards import RewardError

TASK = get_task("addition")
EXAMPLES = [{"prompt": "1+2=?", "target": "3"}, {"prompt": "4+5=?", "target": "9"}]
TEXTS = ["a", "b", "c", "d"]


def judge_with(*functions, weights=None, examples=EXAMPLES, texts=TEXTS):
    judge = make_judge(RunConfig(reward_weights=weights), TASK, functions)
    return judge_completions(judge, examples, texts, [[1]] * len(texts), 2)


def test_functions_are_called_by_keyword_with_a_column_per_name_and_a_row_per_completion():
    seen = {}

    def spy(*, prompts, completions, completion_ids, target, **others):
        seen.update(prompts=prompts, completions=completions, completion_ids=completion_ids, target=target)
        return [0.0] * 4

    judge_with(spy)
    assert seen == {
        "prompts": ["1+2=?", "1+2=?", "4+5=?", "4+5=?"],
        "completions": TEXTS,
        "completion_ids": [[1]] * 4,
        "target": ["3", "3", "9", "9"],
    }


def test_conversational_prompts_come_with_their_completions_as_lists_of_one_message():
    seen = {}

    def spy(prompts, completions, **others):
        seen.update(prompts=prompts, completions=completions)
        return [0.0] * 2

    messages = [{"role": "user", "content": "1+2=?"}]
    judge_with(spy, examples=[{"prompt": messages}], texts=["3", "4"])
    assert seen["prompts"] == [messages, messages]
    assert seen["completions"] == [[{"role": "assistant", "content": text}] for text in ("3", "4")]


def test_the_total_is_the_weighted_sum_of_what_applied_and_nan_where_nothing_did():
    def first(prompts, **others):
        return [1.0, 2.0, None, None]

    def second(prompts, **others):
        return [10.0, math.nan, 20.0, None]

    judgement = judge_with(first, second, weights=(0.5, 2.0))
    assert judgement.totals.tolist()[:3] == [20.5, 1.0, 40.0]
    assert math.isnan(judgement.totals[3])
    assert [reward.is_applicable for reward in judgement.by_function["second"]] == [True, False, True, False]


@pytest.mark.parametrize(
    ("returned", "sentence"),
    [
        ([1.0] * 3, "returned 3 values for 4 completions"),
        (1.0, "returned a float, not a list of numbers"),
        (["x"] * 4, "not a number"),
        ([math.inf] * 4, "not finite"),
        ([1e300] * 4, r"returned 1e\+300; a reward must lie within ±1e\+18"),
        (None, "returned a NoneType"),
    ],
)
def test_what_is_no_number_per_completion_is_refused_by_the_functions_name(returned, sentence):
    def bad(prompts, **others):
        return returned

    with pytest.raises(RewardError, match=rf"'bad'.*{sentence}"):
        judge_with(bad)


def test_a_reward_that_its_weight_makes_too_large_is_refused():
    with pytest.raises(RewardError, match=r"a weighted reward is 1e\+22; it must lie within ±1e\+18"):
        judge_with(lambda prompts, **_: [1e17, 0.0, -1e17, 1.0], weights=(1e5,))


def test_small_differences_of_large_rewards_are_kept():
    judgement = judge_with(lambda prompts, **_: [20000.001, 20000.002, 1e17, 0.0])
    assert judgement.totals.tolist() == [20000.001, 20000.002, 1e17, 0.0]


def test_a_reason_is_text_whatever_the_function_gave():
    class Odd(float):
        reason = ValueError("half of \ud83d")

    (reward, *_) = judge_with(lambda prompts, **_: [Odd(1.0)] * 4).by_function["<lambda>"]
    assert reward.reason == "half of ?"


def test_what_the_functions_log_is_kept_and_they_are_told_the_step():
    def mine(prompts, trainer_state, log_metric, **others):
        log_metric("first", trainer_state.global_step)
        log_metric("first", trainer_state.max_steps)
        return [0.0] * len(prompts)

    judge = make_judge(RunConfig(), TASK, [mine])
    state = TrainerState(global_step=3, max_steps=9)
    judgement = judge_completions(judge, EXAMPLES, TEXTS, [[1]] * 4, 2, state)
    assert judgement.logged == {"first": [3.0, 9.0]}
    joined = join_judgements(judgement.of_rows([0, 1]), judgement.of_rows([2, 3]))
    assert joined.logged == {"first": [3.0, 9.0, 3.0, 9.0]}


def test_a_function_that_raises_is_named_and_its_error_kept():
    def bad(prompts, **others):
        raise ZeroDivisionError("division by zero")

    with pytest.raises(RewardError, match="'bad' raised ZeroDivisionError: division by zero") as refused:
        judge_with(bad)
    assert isinstance(refused.value.__cause__, ZeroDivisionError)


def test_the_tasks_own_rewards_come_with_its_weights_and_the_highest_total():
    judge = make_judge(RunConfig(), TASK, None)
    assert judge.weights == {"answer": 1.0, "steps": 0.3, "format": 0.2}
    assert judge.max_reward == pytest.approx(1.5) and judge.truth == "answer"
    chosen = make_judge(RunConfig(reward_funcs=("format",)), TASK, None)
    assert (chosen.weights, chosen.max_reward, chosen.truth) == ({"format": 1.0}, 1.0, None)
    negative = make_judge(RunConfig(reward_weights=(1.0, -0.5, 0.0)), TASK, None)
    assert negative.max_reward == 1.0, "a penalty cannot raise the highest total"


def test_of_a_strangers_rewards_nobody_knows_the_highest_total():
    judge = make_judge(RunConfig(), TASK, [lambda prompts, **others: [0.0]])
    assert judge.max_reward is None and judge.truth is None


def test_weights_and_functions_must_be_as_many():
    with pytest.raises(ConfigError, match="reward_weights has 2 values but there are 1 reward functions"):
        make_judge(RunConfig(reward_weights=(1.0, 2.0)), TASK, [lambda **others: []])


def test_against_a_learned_reward_it_alone_weighs_and_the_true_total_goes_along_with_its_rows():
    async def first(prompts, **others):
        return [1.0, 2.0, None, None]

    def second(prompts, **others):
        return [10.0, 20.0, 30.0, None]

    def scores(prompts, **others):
        return [0.1, 0.2, 0.3, 0.4]

    true_judge = make_judge(RunConfig(reward_weights=(0.5, 2.0)), TASK, [first, second])
    judge = against_learned(true_judge, scores)
    with judge.scorer:
        judgement = judge_completions(judge, EXAMPLES, TEXTS, [[1]] * 4, 2)
    assert judge.weights == {"scores": 1.0, "first": 0.0, "second": 0.0}
    assert judgement.totals.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert judgement.true_totals.tolist()[:3] == [20.5, 41.0, 60.0] and math.isnan(judgement.true_totals[3])
    part = judgement.of_rows([2, 0])
    assert part.true_totals.tolist() == [60.0, 20.5]
    assert join_judgements(part, judgement).true_totals.tolist()[:4] == [60.0, 20.5, 20.5, 41.0]
    assert judge.truth is None and judge.max_reward is None
    own = against_learned(make_judge(RunConfig(), TASK, None), scores)
    assert own.truth == "answer" and own.true_weights == {"answer": 1.0, "steps": 0.3, "format": 0.2}


def test_without_a_learned_reward_there_is_no_true_total_beside_the_total():
    judgement = judge_with(lambda prompts, **others: [1.0] * 4)
    assert judgement.true_totals is None is judgement.of_rows([0]).true_totals
    assert join_judgements(judgement, judgement).true_totals is None
