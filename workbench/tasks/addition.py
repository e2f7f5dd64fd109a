"""Column addition of two 2-digit numbers, written out digit by digit.

``23+47=?`` wants ``3+7+0=10; 2+4+1=7</think><answer>70</answer>``: lowest digit first, the third summand is the carry.
"""

import itertools
import random
import re
from collections.abc import Iterator, Mapping
from typing import Any

from workbench.tasks.base import Example, Reward, Task, reward_function
from workbench.tasks.tags import is_well_formed, parse_integer, read_answer, read_thinking

_SUM = re.compile(r"(?:^|\n|[^0-9+\-*/.\s])[ \t]*([0-9]{1,17})[ \t]*\+[ \t]*([0-9]{1,17})[ \t]*(?=[=?\n]|$)")


def examples(seed: int) -> Iterator[Example]:
    """Yield endless sums of two numbers from 10 to 99, the same for the same seed."""
    rng = random.Random(f"addition-{seed}")
    while True:
        first, second = rng.randint(10, 99), rng.randint(10, 99)
        yield {"prompt": f"{first}+{second}=?", "target": str(first + second)}


def read_summands(prompt: str) -> tuple[int, int] | None:
    """Return the two summands of the prompt's last sum of exactly two numbers, or None.

    >>> read_summands("What is 25 + 73?")
    (25, 73)
    >>> read_summands("2+3+4=?") is None
    True
    """
    found = _SUM.findall(prompt.strip())
    return (int(found[-1][0]), int(found[-1][1])) if found else None


def expected_steps(first: int, second: int) -> list[str]:
    """Return the additions of the written method, lowest digit first.

    >>> expected_steps(23, 47)
    ['3+7+0=10', '2+4+1=7']
    """
    steps, carry = [], 0
    while first or second or not steps:
        total = first % 10 + second % 10 + carry
        steps.append(f"{first % 10}+{second % 10}+{carry}={total}")
        first, second, carry = first // 10, second // 10, total // 10
    return steps


def read_steps(completion: str) -> list[str]:
    """Return the equations of the thinking, spaces removed; remarks without an equals sign are left out.

    >>> read_steps("3+7+0=10; 2+4+1=7; check</think><answer>70</answer>")
    ['3+7+0=10', '2+4+1=7']
    """
    parts = (re.sub(r"\s+", "", part) for part in re.split(r"[;\n]", read_thinking(completion)))
    return [part for part in parts if "=" in part]


@reward_function("answer")
def score_answer(prompt: str, completion: str, columns: Mapping[str, Any]) -> Reward | None:
    """1 when the integer in the last answer tag is the sum, else 0.  The sum: the target column, else the prompt's."""
    truth = parse_integer(columns.get("target"))
    summands = read_summands(prompt)
    if truth is None and summands is not None:
        truth = sum(summands)
    if truth is None:
        return None
    written = read_answer(completion)
    if written is None:
        return Reward(0.0, "no <answer>…</answer>")
    number = parse_integer(written)
    if number is None:
        return Reward(0.0, f"no integer in the answer: {written[:40]!r}")
    return Reward(float(number == truth), f"{number} {'=' if number == truth else '≠'} {truth}")


@reward_function("steps")
def score_steps(prompt: str, completion: str, columns: Mapping[str, Any]) -> Reward | None:
    """The share of the expected steps that stand, exactly so, in their place.

    The divisor is the larger of the steps expected and the equations written, so that more equations never earn more.
    """
    summands = read_summands(prompt)
    if summands is None:
        return None
    expected, written = expected_steps(*summands), read_steps(completion)
    num_steps = max(len(expected), len(written))
    wrong = [f"; wanted {want}, read {got}" for want, got in itertools.zip_longest(expected, written) if want != got]
    num_right = num_steps - len(wrong)
    return Reward(num_right / num_steps, f"{num_right} of {num_steps} steps right{''.join(wrong[:1])}")


@reward_function("format")
def score_format(prompt: str, completion: str, columns: Mapping[str, Any]) -> Reward:
    """1 when the completion is thinking, ``</think>`` and one answer tag around an integer, and ends there; else 0."""
    ok = is_well_formed(completion, r"[+-]?[0-9]{1,18}", needs_thinking=True)
    return Reward(float(ok), "well formed" if ok else "not …</think><answer>integer</answer>")


ADDITION = Task(
    name="addition",
    description="Add two 2-digit numbers in writing, digit by digit, then state the sum.",
    description_zh="两个两位数的竖式加法：逐位写出步骤，再给出和。",
    examples=examples,
    reward_functions=(score_answer, score_steps, score_format),
    reward_weights=(1.0, 0.3, 0.2),
    read_answer=read_answer,
    max_completion_length=48,
)
