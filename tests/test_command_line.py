"""What a terminal does to `python -m workbench`: pipes that close, and letters that it does not have."""

import os
import subprocess
import sys
from pathlib import Path

from workbench.__main__ import _line, main
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs
from workbench.run.recorder import RunFolder
from workbench.run.tapes import TAPES

ROOT = Path(__file__).parents[1]


def run(*arguments, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "workbench", *arguments]
    return subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=120, **options)


def test_a_reader_that_has_seen_enough_ends_it_in_silence():
    reading, writing = os.pipe()
    os.close(reading)
    done = run("replay", str(TAPES / "addition"), stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_the_help_is_printed_where_there_is_only_ascii():
    done = run("train", "--help", stdout=subprocess.PIPE, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "") and "\\u03b2" in done.stdout


def test_the_help_of_a_setting_names_its_choices_and_its_default(capsys):
    try:
        main(["train", "--help"])
    except SystemExit as ended:
        assert ended.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "where to train; one of auto, cpu, cuda (default: auto)" in said


def test_a_run_that_ended_before_its_first_step_says_so(tmp_path, capsys):
    RunFolder.create(tmp_path, RunConfig(), Knobs())
    assert main(["replay", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"workbench: {tmp_path} holds no step: the run ended before its first\n"


def test_a_step_to_which_no_reward_applied_says_so():
    assert _line({"step": 3, "reward": None, "kl": 0.5}) == "step    3  no reward applied  kl 0.500"
    assert _line({"step": 3, "reward": 0.0}) == "step    3  reward 0.000"
