"""Reach a target with every given number once, by + and -: ``make 9 from 2 5 6`` wants ``<answer>5-2+6</answer>``, say.

Many answers are right.  The task has no step rewards: nothing is written before the answer, and no part of an
expression is right or wrong before its last number.
"""

import itertools
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workbench.errors import ConfigError
from workbench.tasks.base import Example, Reward, Task, reward_function, text_of
from workbench.tasks.expression import parse_expression
from workbench.tasks.tags import is_well_formed, parse_integer, read_answer

NUM_NUMBERS = 3
MAX_DEMONSTRATED = 12  # numbers: each has two signs to try
_PROMPT = re.compile(r"make\s+(-?[0-9]{1,9})\s+from\s+([0-9]{1,9}(?:[\s,]+[0-9]{1,9})*)", re.IGNORECASE)


def examples(seed: int) -> Iterator[Example]:
    """Yield endless solvable puzzles: three numbers from 1 to 9, a target of 0 or more; the same for the same seed."""
    rng = random.Random(f"countdown-{seed}")
    while True:
        numbers = [rng.randint(1, 9) for _ in range(NUM_NUMBERS)]
        target = sum(number * rng.choice((1, -1)) for number in numbers)
        if target >= 0:
            yield {
                "prompt": f"make {target} from {' '.join(map(str, numbers))}",
                "target": str(target),
                "nums": numbers,
            }


def read_puzzle(prompt: str, columns: Mapping[str, Any]) -> tuple[int, list[int]] | None:
    """Return target and numbers: the columns ``target`` and ``nums`` where they are, else from the prompt; or None.

    >>> read_puzzle("make 9 from 2 5 6", {})
    (9, [2, 5, 6])
    """
    match = _PROMPT.search(prompt)
    target = parse_integer(columns.get("target"))
    nums = columns.get("nums")
    if target is None and match:
        target = int(match[1])
    if isinstance(nums, (list, tuple)):
        numbers = [parse_integer(number) for number in nums]
    else:
        numbers = [int(number) for number in re.findall(r"[0-9]+", match[2])] if match else []
    whole = [number for number in numbers if number is not None]
    return (target, whole) if target is not None and whole and len(whole) == len(numbers) else None


@reward_function("value")
def score_value(prompt: str, completion: str, columns: Mapping[str, Any]) -> Reward | None:
    """1 when the answer uses every given number exactly once and equals the target, else 0."""
    puzzle = read_puzzle(prompt, columns)
    if puzzle is None:
        return None
    target, numbers = puzzle
    written = read_answer(completion)
    if written is None:
        return Reward(0.0, "no <answer>…</answer>")
    terms = parse_expression(written)
    if terms is None:
        return Reward(0.0, f"not a sum or difference of numbers: {written[:40]!r}")
    if Counter(map(abs, terms)) != Counter(numbers):
        return Reward(0.0, f"uses {sorted(map(abs, terms))}, given {sorted(numbers)}")
    return Reward(float(sum(terms) == target), f"{written} = {sum(terms)}, wanted {target}")


@reward_function("format")
def score_format(prompt: str, completion: str, columns: Mapping[str, Any]) -> Reward:
    """1 when the completion is one answer tag around a sum or difference, after optional thinking; else 0."""
    expression = r"[0-9]{1,9}\s*(?:[+-]\s*[0-9]{1,9}\s*){0,63}"
    ok = is_well_formed(completion, expression, needs_thinking=False)
    return Reward(float(ok), "well formed" if ok else "not <answer>expression</answer>")


def find_signs(target: int, numbers: Sequence[int]) -> list[tuple[int, ...]]:
    """Return every choice of a sign (1 or -1) for each number that makes their sum the target, not all of them minus.

    None for numbers that ``parse_expression`` does not read, nor for more than ``MAX_DEMONSTRATED`` numbers.

    >>> find_signs(9, [2, 5, 6])
    [(-1, 1, 1)]
    """
    if len(numbers) > MAX_DEMONSTRATED or not all(0 <= number < 10**9 for number in numbers):
        return []
    choices = itertools.product((1, -1), repeat=len(numbers))
    terms = ((signs, [sign * number for sign, number in zip(signs, numbers, strict=True)]) for signs in choices)
    return [signs for signs, signed in terms if sum(signed) == target and max(signed) >= 0]


def demonstrate(example: Example, rng: random.Random) -> str:
    """Return one of the right expressions between answer tags, which one the rng decides.

    Raises ConfigError where there is none, or there are too many numbers to look through.
    """
    prompt = text_of(example["prompt"])
    puzzle = read_puzzle(prompt, example)
    signs = find_signs(*puzzle) if puzzle else []
    if puzzle is None or not signs:
        raise ConfigError(
            f"prompt {prompt[:80]!r} is not a countdown of at most {MAX_DEMONSTRATED} numbers of at most 9 digits "
            "that + and - can solve, so it cannot be demonstrated"
        )
    terms = [sign * number for sign, number in zip(rng.choice(signs), puzzle[1], strict=True)]
    rng.shuffle(terms)
    first = next(index for index, term in enumerate(terms) if term >= 0)  # an expression begins without a sign
    terms.insert(0, terms.pop(first))
    return f"<answer>{terms[0]}{''.join(f'{term:+d}' for term in terms[1:])}</answer>"


COUNTDOWN = Task(
    name="countdown",
    description="Reach the target using every given number once, with + and -.  Many answers are right.",
    description_zh="用加减号把给定的数各用一次，凑出目标数；正确答案不止一个。",
    examples=examples,
    reward_functions=(score_value, score_format),
    reward_weights=(1.0, 0.2),
    read_answer=read_answer,
    max_completion_length=24,
    demonstrate=demonstrate,
)
