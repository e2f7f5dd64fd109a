"""The stages of a step in words, and a step's time by stage as the page draws it."""

from collections.abc import Mapping
from typing import Any

from workbench.run.store import RunStore

Seconds = Mapping[str, float]  # by stage

# stage: its name, and what is counted, in English and Chinese; in the order of the data's path
STAGES: Mapping[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "reward_model": (
        ("Reward model", "奖励模型"),
        ("Training the learned reward, where a round begins.", "每轮开始时训练学到的奖励。"),
    ),
    "sample": (
        ("Sample", "采样"),
        (
            "Writing the completions. Its limit: each token waits for the one before, and for each one all weights and "
            "the cache are read from memory once, or multiplied, whichever takes longer.",
            "写出回答。其极限：每个词元要等前一个；每个词元都要从内存读一遍全部权重和缓存，或做完乘法，取较慢者。",
        ),
    ),
    "reward": (
        ("Reward", "奖励"),
        (
            "Texts and reward functions. They are Python, so there is no limit to name.",
            "文本与奖励函数。它们是 Python 代码，没有可说的极限。",
        ),
    ),
    "score": (
        ("Score", "打分"),
        (
            "The reference policy's log-probabilities. Its limit: one forward pass, 2 operations a weight and token, "
            "a prompt once a group, no padding.",
            "参考策略的对数概率。其极限：一次前向，每个权重每个词元 2 次运算，题目每组一次，没有填充。",
        ),
    ),
    "update": (
        ("Update", "更新"),
        (
            "Advantages and the μ inner updates. Their limit: forward and backward, about 4 operations a weight and "
            "token, for the base weights are frozen. A critic's work has none.",
            "优势与 μ 次内层更新。其极限：前向加反向，每个权重每个词元约 4 次运算，因为基座权重冻结。"
            "评论家的工作不计极限。",
        ),
    ),
    "record": (
        ("Record", "记录"),
        (
            "What the training thread spends on it. On the page: copying what was computed and handing it over, for a "
            "thread beside it makes the record and writes step and adapter to disk while the next step goes on. In a "
            "notebook and on the command line: all of that.",
            "训练线程为此所花的时间。在页面上：复制算出的数据并交出去，由另一个线程在下一步进行时制作记录、"
            "把这一步和适配器写入磁盘。在笔记本和命令行里：以上全部。",
        ),
    ),
}


def page_timing(store: RunStore, step: int) -> dict[str, Any]:
    """Return a step's seconds and limits by stage in their order, and its fast paths, as the page draws them.

    The seconds are those of the step's row, in which the time to write the step down is counted too, unless that was
    done beside the next one. A recording that is older than limits and fast paths has neither. Raises KeyError if the
    run has no such step.
    """
    record = store.record(step)
    return {
        "timings": in_order(store.row(step).get("timings", {})),
        "limits": dict(record.limits),
        "tokens": record.groups.num_tokens,
        "fast_paths": list(record.fast_paths),
        "plain_paths": list(store.config.plain_paths),
    }


def in_order(timings: Seconds) -> dict[str, float]:
    """Return the stages in the order of the data's path; those that took no time at all are left out.

    >>> list(in_order({"update": 2.0, "other": 1.0, "sample": 1.0, "reward": 0.0}))
    ['sample', 'update', 'other']
    """
    names = [*STAGES, *(name for name in timings if name not in STAGES)]
    return {name: timings[name] for name in names if timings.get(name)}


def stage_words(name: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return a stage's name and what is counted in it, in English and Chinese."""
    shown = name.replace("_", " ")
    return STAGES.get(name, ((shown, shown), ("", "")))
