"""The bundled tasks, each with GRPO as the paper has it."""

from collections.abc import Mapping

from workbench.run.preset import Preset

# Four updates on each batch, so that ratios leave 1; learning rates at which the reward climbs for forty steps.
_FOUR_UPDATES = {"num_iterations": 4, "beta": 0.04, "max_completion_length": 48}
_SLOW, _QUICK = _FOUR_UPDATES | {"learning_rate": 2e-4}, _FOUR_UPDATES | {"learning_rate": 5e-4}
_HUNDRED = {"max_steps": 100}

TASK_PRESETS: Mapping[str, Preset] = {
    "addition": Preset(
        ("Column addition", "竖式加法"),
        (
            "Two-digit sums written out step by step; rewards for the answer, the steps and the format.",
            "两位数加法，逐步写出；奖励包括答案、步骤和格式。",
        ),
        _HUNDRED | {"task": "addition"},
        _SLOW,
    ),
    "countdown": Preset(
        ("Countdown", "凑数"),
        (
            "Reach a target from three numbers with + and −; many answers are right.",
            "用三个数和加减号凑出目标数，正确答案不止一个。",
        ),
        _HUNDRED | {"task": "countdown"},
        _QUICK,
    ),
    "sorting": Preset(
        ("Sorting", "排序"),
        (
            "Put digits in order; the reward checks that they are the same digits.",
            "把数字排好序；奖励会核对数字是否原样。",
        ),
        _HUNDRED | {"task": "sorting"},
        _SLOW,
    ),
    "sorting_hacked": Preset(
        ("Sorting with a careless reward", "排序，奖励有漏洞"),
        (
            "Only the order of the answer counts, not whether its digits are the given ones: watch it be hacked.",
            "只看答案是否有序，不核对数字：看策略如何钻奖励的空子。",
        ),
        _HUNDRED | {"task": "sorting", "reward_weights": (0.0, 1.0, 0.0)},
        _QUICK,
    ),
    "stale_reward_model": Preset(
        ("A reward model gone stale", "过时的奖励模型"),
        (
            "A reward model trained once and never again: its score goes on rising while the true reward falls.",
            "奖励模型只训练一次、不再更新：它的打分一路上升，真实奖励却在下降。",
        ),
        _HUNDRED | {"task": "addition", "learn_reward": True, "refresh_reward_model": False},
        _SLOW | {"learning_rate": 2e-3},
    ),
}
