"""Column addition of two 2-digit numbers, written out digit by digit.

``23+47=?`` wants ``3+7+0=10; 2+4+1=7</think><answer>70</answer>``: lowest digit first, the third summand is the carry.
"""

import itertools
import random
import re
from collections.abc import Iterator, Mapping
from typing import Any

from workbench.errors import ConfigError
from workbench.tasks.base import Example, Reward, StepReward, Task, reward_function, text_of
from workbench.tasks.tags import is_well_formed, parse_integer, read_answer, thinking_span

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
    return [equation for equation, _ in locate_steps(completion)]


def locate_steps(completion: str) -> list[tuple[str, int]]:
    """Return the equations of the thinking, each with the index in the completion at which it ends (exclusive).

    >>> locate_steps("3+7+0 = 10 ; 2+4+1=7</think><answer>70</answer>")
    [('3+7+0=10', 10), ('2+4+1=7', 20)]
    """
    start, end = thinking_span(completion)
    parts = [(part[0], start + part.start()) for part in re.finditer(r"[^;\n]+", completion[start:end])]
    return [(re.sub(r"\s+", "", part), begin + len(part.rstrip())) for part, begin in parts if "=" in part]


@reward_function("answer")
def score_answer(prompt: str, completion: str, columns: Mapping[str, Any]) -> Reward | None:
    """1 when the integer in the last answer tag is the sum, else 0.  The sum: the target column, else the prompt's."""
    return judge_answer(prompt, completion, columns)


def judge_answer(prompt: str, completion: str, columns: Mapping[str, Any]) -> Reward | None:
    """Return the reward of the answer, or None where neither the target column nor the prompt tells the sum."""
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
    wrong = [
        f"; wanted {want or 'no further step'}, read {got or 'nothing'}"
        for want, got in itertools.zip_longest(expected, written)
        if want != got
    ]
    num_right = num_steps - len(wrong)
    return Reward(num_right / num_steps, f"{num_right} of {num_steps} steps right{''.join(wrong[:1])}")


@reward_function("format")
def score_format(prompt: str, completion: str, columns: Mapping[str, Any]) -> Reward:
    """1 when the completion is thinking, ``</think>`` and one answer tag around an integer, and ends there; else 0."""
    ok = is_well_formed(completion, r"[+-]?[0-9]{1,18}", needs_thinking=True)
    return Reward(float(ok), "well formed" if ok else "not …</think><answer>integer</answer>")


def reward_steps(prompt: str, completion: str, columns: Mapping[str, Any]) -> list[StepReward]:
    """Return a step for each written equation, 1 when it stands in its place as in ``score_steps``, and the answer's.

    An equation's step ends with its last character.  The last step is the answer's: it ends where the completion ends,
    and earns 1 when ``score_answer`` does.  No steps where the prompt is no sum and the target column has none.

    >>> for step in reward_steps("23+47=?", "3+7+0=10; 2+4+0=6</think><answer>60</answer>", {}):
    ...     print(step.end, step.reward, step.reason)
    8 1.0 right
    17 0.0 wanted 2+4+1=7
    44 0.0 60 ≠ 70
    """
    summands = read_summands(prompt)
    expected = expected_steps(*summands) if summands else []
    steps = []
    for index, (equation, end) in enumerate(locate_steps(completion) if summands else []):
        wanted = expected[index] if index < len(expected) else "no further step"
        steps.append(StepReward(end, float(equation == wanted), "right" if equation == wanted else f"wanted {wanted}"))
    answer = judge_answer(prompt, completion, columns)
    if answer is not None:
        steps.append(StepReward(len(completion), float(answer), answer.reason))
    return steps


def demonstrate(example: Example, rng: random.Random) -> str:
    """Return the written addition and its answer; raise ConfigError where the prompt is not a sum of two numbers."""
    prompt = text_of(example["prompt"])
    summands = read_summands(prompt)
    if summands is None:
        raise ConfigError(f"prompt {prompt[:80]!r} is not a sum of two numbers, so it cannot be demonstrated")
    return f"{'; '.join(expected_steps(*summands))}</think><answer>{sum(summands)}</answer>"


ADDITION = Task(
    name="addition",
    description="Add two 2-digit numbers in writing, digit by digit, then state the sum.",
    description_zh="两个两位数的竖式加法：逐位写出步骤，再给出和。",
    examples=examples,
    reward_functions=(score_answer, score_steps, score_format),
    reward_weights=(1.0, 0.3, 0.2),
    read_answer=read_answer,
    max_completion_length=48,
    step_rewards=reward_steps,
    demonstrate=demonstrate,
)
