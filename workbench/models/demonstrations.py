"""What the tiny model imitates: the three tasks solved right, then solved with bad habits.

A habit is a mistake made with a fixed probability whatever the prompt, so that the right completion stays the likeliest
at every token: sampling makes mistakes of many kinds, and reinforcement can unlearn each of them.
"""

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from workbench.tasks.addition import expected_steps, read_summands
from workbench.tasks.base import Example
from workbench.tasks.registry import TASKS


@dataclass(frozen=True)
class Habits:
    """Probabilities of the mistakes, each drawn on its own."""

    wrong_step: float = 0.14  # addition: a step's sum is off by one, and the carry follows the mistake
    filler: float = 0.25  # addition: "; check" before the thinking ends
    no_tag: float = 0.33  # addition: the answer without its tags
    wrong_sign: float = 0.20  # countdown: one sign turned
    reused_number: float = 0.10  # countdown: a number used twice in place of another
    swapped: float = 0.30  # sorting: two neighbours exchanged
    dropped: float = 0.12  # sorting: a digit left out
    repeated: float = 0.15  # sorting: a digit written twice
    unclosed: float = 0.12  # countdown and sorting: no closing tag
    bare: float = 0.12  # countdown and sorting: no opening tag


FAULTLESS = Habits(*[0.0] * 10)


def demonstrate_addition(example: Example, habits: Habits, rng: random.Random) -> str:
    """Return the written addition; a wrong step is carried on consistently into the answer."""
    summands = read_summands(example["prompt"])
    assert summands is not None
    steps, digits, carry = [], "", 0
    for step in expected_steps(*summands):
        first, second = step.split("+")[:2]
        total = int(first) + int(second) + carry
        if rng.random() < habits.wrong_step:
            total = max(0, total + rng.choice((-1, 1)))
        steps.append(f"{first}+{second}+{carry}={total}")
        digits, carry = f"{total % 10}{digits}", total // 10
    if rng.random() < habits.filler:
        steps.append("check")
    number = str(int(f"{carry}{digits}"))
    answer = number if rng.random() < habits.no_tag else f"<answer>{number}</answer>"
    return "; ".join(steps) + "</think>" + answer


def solutions(target: int, numbers: list[int]) -> list[list[int]]:
    """Return every way to reach the target: signed terms in order, the first one positive, no way twice."""
    found = set()
    for order in itertools.permutations(numbers):
        for signs in itertools.product((1, -1), repeat=len(order) - 1):
            terms = (order[0], *(sign * number for sign, number in zip(signs, order[1:], strict=True)))
            if sum(terms) == target:
                found.add(terms)
    return [list(terms) for terms in sorted(found)]


def demonstrate_countdown(example: Example, habits: Habits, rng: random.Random) -> str:
    """Return one of the right expressions, at times with a sign turned or a number used twice."""
    terms = rng.choice(solutions(int(example["target"]), example["nums"]))
    if rng.random() < habits.wrong_sign:
        index = rng.randrange(1, len(terms))
        terms[index] = -terms[index]
    if rng.random() < habits.reused_number:
        index = rng.randrange(1, len(terms))
        terms[index] = abs(terms[index - 1]) * (1 if terms[index] > 0 else -1)
    expression = str(terms[0]) + "".join(f"{term:+d}" for term in terms[1:])
    return tagged(expression, habits, rng)


def demonstrate_sorting(example: Example, habits: Habits, rng: random.Random) -> str:
    """Return the digits sorted, at times with neighbours exchanged, one left out, or one repeated."""
    digits = list(example["target"])
    if rng.random() < habits.swapped:
        index = rng.randrange(len(digits) - 1)
        digits[index], digits[index + 1] = digits[index + 1], digits[index]
    if rng.random() < habits.repeated:
        index = rng.randrange(len(digits))
        digits.insert(index, digits[index])
    if rng.random() < habits.dropped:
        del digits[rng.randrange(len(digits))]
    return tagged("".join(digits), habits, rng)


def tagged(answer: str, habits: Habits, rng: random.Random) -> str:
    """Return the answer between its tags, or with one of them missing."""
    opening = "" if rng.random() < habits.bare else "<answer>"
    closing = "" if rng.random() < habits.unclosed else "</answer>"
    return opening + answer + closing


DEMONSTRATE: dict[str, Callable[[Example, Habits, random.Random], str]] = {
    "addition": demonstrate_addition,
    "countdown": demonstrate_countdown,
    "sorting": demonstrate_sorting,
}


def demonstrations(habits: Habits, seed: int) -> Iterator[tuple[str, str]]:
    """Yield endless (prompt, completion) pairs, the hardest task more often; the same for the same seed."""
    rng = random.Random(f"demonstrations-{seed}")
    streams = {name: TASKS[name].examples(seed) for name in DEMONSTRATE}
    while True:
        for name in ("addition", "countdown", "sorting", "countdown"):
            example = next(streams[name])
            yield example["prompt"], DEMONSTRATE[name](example, habits, rng)
