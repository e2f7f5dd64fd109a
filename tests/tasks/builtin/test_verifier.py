import gc
import sys
import time

import pytest

from workbench.errors import ConfigError
from workbench.tasks.builtin.verifier import SCRIPT, MathVerifier

# Like the real process, but "stuck" never gets a reply and "dead" ends it; each reply says which process gave it.
PROGRAM = """
import json, os, sys, time
for line in sys.stdin:
    content = json.loads(line)["content"]
    if content == "stuck":
        time.sleep(60)
    if content == "dead":
        sys.exit(1)
    print(json.dumps({"gold": "g", "answer": str(os.getpid()), "is_right": True}), flush=True)
"""
COMMAND = [sys.executable, "-S", "-c", PROGRAM]


@pytest.mark.parametrize("content", ["stuck", "dead"])
def test_an_answer_that_stops_the_process_is_wrong_and_the_next_one_gets_a_new_process(content):
    verifier = MathVerifier(limit_s=1.0, command=COMMAND)
    first = verifier.verify("fine", "1")
    started = time.monotonic()
    stopped = verifier.verify(content, "1")
    assert time.monotonic() - started < 10
    assert (stopped.is_right, stopped.answer) == (False, None) and "not verified within 1 s" in stopped.trouble
    second = verifier.verify("fine", "1")
    assert first.is_right and second.is_right and first.answer != second.answer


def test_one_process_serves_until_its_owner_is_freed():
    verifier = MathVerifier(command=COMMAND)
    assert verifier.verify("a", "1").answer == verifier.verify("b", "1").answer
    process = verifier._process
    assert process is not None and process.poll() is None
    del verifier
    gc.collect()
    assert process.poll() is not None


def test_an_interrupted_question_leaves_no_reply_for_the_next(monkeypatch):
    verifier = MathVerifier(command=COMMAND)
    first = verifier.verify("fine", "1")

    def interrupted(process, question):
        process.stdin.write(question + "\n")
        process.stdin.flush()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(verifier, "_ask", interrupted)
        verifier.verify("fine", "1")
    assert verifier.verify("fine", "1").answer != first.answer


def test_a_process_that_cannot_start_is_told_in_one_sentence():
    with pytest.raises(ConfigError, match="math_verify could not be started: pip install"):
        MathVerifier(command=[sys.executable, "-c", "raise ImportError"]).verify("a", "1")


def test_a_number_without_end_is_wrong_within_the_time_limit():
    program = SCRIPT.read_text().replace(
        "READ_LIMIT_S, COMPARE_LIMIT_S = 10, 5", "READ_LIMIT_S, COMPARE_LIMIT_S = 2, 1"
    )
    verifier = MathVerifier(command=[sys.executable, "-c", program])
    started = time.monotonic()
    assert not verifier.verify(r"\boxed{9^{9^9}}", "4").is_right
    assert time.monotonic() - started < 15
    assert verifier.verify(r"\boxed{4}", "4").is_right
