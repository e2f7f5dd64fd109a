"""The process that ``verifier.py`` talks to: it reads a question a line, asks math_verify, and writes a reply a line.

It is run as a script, and imports nothing of ours.  Its main thread verifies, so math_verify's time limits work.
"""

import json
import signal
import sys
from typing import Any

READ_LIMIT_S, COMPARE_LIMIT_S = 10, 5  # TRL's
MEMORY_LIMIT_BYTES = 4 << 30


def compare(content: str, solution: str) -> dict[str, Any]:
    """Return what math_verify reads in both texts, and whether it finds them equal, with TRL's settings."""
    from latex2sympy2_extended import NormalizationConfig  # noqa: PLC0415  only this process needs it
    from math_verify import LatexExtractionConfig, parse, verify  # noqa: PLC0415

    gold = parse(solution, parsing_timeout=READ_LIMIT_S)
    if not gold:
        return {"gold": None, "answer": None, "is_right": False}
    marked = LatexExtractionConfig(
        normalization_config=NormalizationConfig(units=True),
        boxed_match_priority=0,
        try_extract_without_anchor=False,
    )
    answer = parse(content, extraction_config=[marked], extraction_mode="first_match", parsing_timeout=READ_LIMIT_S)
    is_right = verify(gold, answer, timeout_seconds=COMPARE_LIMIT_S)
    return {"gold": str(gold), "answer": str(answer) if answer else None, "is_right": is_right}


def limit_memory() -> None:
    """Let a number that is too large fail in this process; the whole machine would run out otherwise."""
    if sys.platform == "linux":
        import resource  # noqa: PLC0415  other systems have none

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))


def main() -> None:
    """Reply to questions until there are no more."""
    replies, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints is no reply
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run, which may go on; its end closes our input
    limit_memory()
    for line in sys.stdin:
        print(json.dumps(compare(**json.loads(line))), file=replies, flush=True)


if __name__ == "__main__":
    main()
