"""Reading ``<think>…</think><answer>…</answer>`` out of a completion."""

import re

_ANSWER = re.compile(r"<answer>((?:(?!</?answer>).)*)</answer>", re.DOTALL)
_INTEGER = re.compile(r"\s*([+-]?[0-9]{1,18})\s*")
_NO_TAG = r"(?:(?!</?(?:think|answer)>).)*"


def read_answer(completion: str) -> str | None:
    """Return the text inside the last complete answer tag, stripped, or None when there is none.

    The last one counts, so that writing many answers earns nothing.

    >>> read_answer("3+7+0=10; 2+4+1=7</think><answer>77</answer>")
    '77'
    >>> read_answer("<answer>77") is None
    True
    """
    found = _ANSWER.findall(completion)
    return found[-1].strip() if found else None


def read_thinking(completion: str) -> str:
    """Return what was written before the closing think tag, or before the answer when that tag is missing."""
    start, end = thinking_span(completion)
    return completion[start:end].strip()


def thinking_span(completion: str) -> tuple[int, int]:
    """Return where the thinking starts and ends (exclusive): between its tags, or before the answer without them.

    >>> thinking_span("<think>3+4=7</think><answer>7</answer>")
    (7, 12)
    """
    closing = re.search(r"</think>|<answer>", completion)
    end = closing.start() if closing else len(completion)
    return (len("<think>") if completion[:end].startswith("<think>") else 0), end


def parse_integer(value: object) -> int | None:
    """Return an integer of at most 18 ASCII digits, or None; a dataset's ints and whole floats pass as they are."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    match = _INTEGER.fullmatch(value) if isinstance(value, str) else None
    return int(match[1]) if match else None


def is_well_formed(completion: str, answer_pattern: str, *, needs_thinking: bool) -> bool:
    """True when the completion is thinking, its closing tag, one answer tag around the pattern, and nothing else.

    The opening think tag may be left out (it belongs to the prompt for many models); the thinking itself too, unless
    ``needs_thinking``.
    """
    thinking = rf"(?:<think>)?{_NO_TAG}</think>\s*"
    pattern = (thinking if needs_thinking else rf"(?:{thinking})?") + rf"<answer>\s*{answer_pattern}\s*</answer>\s*"
    return re.fullmatch(pattern, completion, re.DOTALL) is not None
