"""Comparing a completion's mathematics with a solution, in a process of its own.

math_verify hands what a policy wrote to a computer algebra system.  ``9^{9^9}`` keeps that busy for ever, and its own
time limits are signals, which work in a main thread alone: training runs in another.
"""

import json
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import ConfigError

LIMIT_S = 60.0  # above the sum of math_verify's own limits, which the process keeps: 10 + 10 s to read, 5 s to compare
SCRIPT = Path(__file__).with_name("verifier_process.py")


@dataclass(frozen=True)
class Verdict:
    """What was read in the solution and in the completion (None: nothing), and whether they are equal."""

    gold: str | None
    answer: str | None
    is_right: bool
    trouble: str = ""


class MathVerifier:
    """Asks one process after another to verify; starts it when first asked, and stops it when this object is freed."""

    def __init__(self, limit_s: float = LIMIT_S, command: Sequence[str] | None = None) -> None:
        self._limit_s = limit_s
        self._command = command or [sys.executable, "-P", str(SCRIPT)]
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()  # guards the process: a question and its answer belong together

    def verify(self, content: str, solution: Any) -> Verdict:
        """Return the verdict on the content.  A process that does not answer in time is killed: the content is wrong.

        Raises ConfigError when the process cannot be started.
        """
        if not isinstance(solution, str):
            return Verdict(None, None, False)
        with self._lock:
            process = self._process
            if process is None or process.poll() is not None:
                process = self._start()
            self._process = None  # an interrupted question leaves a process whose next reply would be to that question
            line = self._ask(process, json.dumps({"content": content, "solution": solution}))
            if not line:
                _stop(process)
                return Verdict("[unknown]", None, False, f"not verified within {self._limit_s:g} s and its memory")
            self._process = process
            return Verdict(**json.loads(line))

    def _start(self) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
        )
        weakref.finalize(self, _stop, process)
        if not self._ask(process, json.dumps({"content": "", "solution": ""})):
            _stop(process)
            raise ConfigError("math_verify could not be started: pip install -r requirements.txt brings it")
        return process

    def _ask(self, process: "subprocess.Popen[str]", question: str) -> str:
        """Return the process's reply, one line; empty when it ended or had to be killed."""
        assert process.stdin is not None and process.stdout is not None
        timer = threading.Timer(self._limit_s, process.kill)
        timer.start()
        try:
            process.stdin.write(question + "\n")
            process.stdin.flush()
            return process.stdout.readline()
        except OSError:  # it has ended, so nobody reads the question
            return ""
        finally:
            timer.cancel()


def _stop(process: "subprocess.Popen[str]") -> None:
    process.kill()
    with suppress(OSError), process:  # leaving waits for the end, and closes pipes that nobody reads any more
        pass
