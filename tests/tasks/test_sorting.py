import pytest

from workbench.tasks.sorting import SORTING


def score_one(completion, prompt="sort 52714", **columns):
    return tuple(f(prompts=[prompt], completions=[completion], **columns)[0] for f in SORTING.reward_functions)


@pytest.mark.parametrize(
    ("completion", "rewards"),
    [
        ("<answer>12457</answer>", (1, 0.5, 1)),
        ("<answer>12475</answer>", (0, 0.375, 1)),
        ("<answer>1245</answer>", (0, 0.375, 1)),
        ("<answer>75421</answer>", (0, 0, 1)),
        ("<answer>7</answer>", (0, 0, 1)),
        ("<answer>112233445</answer>", (0, 1, 1)),
        ("<answer>1111111111111</answer>", (0, 1, 1)),
        ("<answer>1 2 4 5 7</answer>", (0, 0, 0)),
        ("12457", (0, 0, 0)),
        ("", (0, 0, 0)),
    ],
)
def test_rewards_by_hand(completion, rewards):
    assert score_one(completion) == rewards


def test_cheating_pays_by_the_careless_reward_and_not_by_the_careful_one():
    right, cheat = score_one("<answer>12457</answer>"), score_one("<answer>111111111</answer>")
    assert cheat[1] > right[1] and cheat[0] < right[0]
    assert SORTING.reward_weights == (1.0, 0.0, 0.2)


def test_the_reason_says_whether_order_or_digits_are_wrong():
    assert "out of order" in score_one("<answer>12475</answer>")[0].reason
    assert "other digits" in score_one("<answer>12455</answer>")[0].reason


def test_the_truth_comes_from_the_target_else_from_the_prompt_else_it_is_not_applicable():
    assert score_one("<answer>12457</answer>", prompt="?", target=["12457"])[0] == 1
    assert score_one("<answer>12457</answer>", prompt="Please sort 52714.")[0] == 1
    assert score_one("<answer>12457</answer>", prompt="?")[0] is None
