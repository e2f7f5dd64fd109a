"""Sums and differences of whole numbers, parsed without ``eval``."""

import re

_EXPRESSION = re.compile(r"\s*[0-9]{1,9}\s*(?:[+-]\s*[0-9]{1,9}\s*){0,63}")
_TERM = re.compile(r"([+-]?)\s*([0-9]+)")


def parse_expression(text: str) -> list[int] | None:
    """Return the signed terms of ``number (± number)*``, or None for any other text.  Their sum is its value.

    At most 64 numbers of at most 9 ASCII digits; no sign before the first, no brackets, no other operators.

    >>> parse_expression("5-2+6")
    [5, -2, 6]
    >>> parse_expression("__import__('os')") is None
    True
    """
    if _EXPRESSION.fullmatch(text) is None:
        return None
    return [-int(digits) if sign == "-" else int(digits) for sign, digits in _TERM.findall(text)]
