"""Functions in files of the user's own behave as in any module."""

import pickle

import pytest

from workbench.errors import ConfigError
from workbench.tasks.files import load_from_file

TWO = """
seen = []
def a(**_): seen.append(1)
def b(**_): return len(seen)
"""
MODERN = """
from __future__ import annotations
from dataclasses import dataclass
from beside_own_file import BONUS

@dataclass
class Score:
    value: float

def score(**_): return Score(BONUS)
"""


def test_functions_of_one_file_share_what_it_holds_until_the_file_changes(tmp_path):
    path = tmp_path / "two.py"
    path.write_text(TWO)
    load_from_file(f"{path}:a", "reward")()
    assert load_from_file(f"{path}:b", "step_rewards")() == 1
    path.write_text(TWO + "\n# changed")
    assert load_from_file(f"{path}:b", "reward")() == 0


def test_two_files_of_one_name_are_two_modules(tmp_path):
    for folder, value in (("x", 1), ("y", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.py").write_text(f"def f(): return {value}")
    assert [load_from_file(f"{tmp_path}/{folder}/same.py:f", "reward")() for folder in "xyx"] == [1, 2, 1]


def test_dataclasses_pickles_and_modules_beside_the_file_work(tmp_path):
    (tmp_path / "beside_own_file.py").write_text("BONUS = 0.5")
    (tmp_path / "modern.py").write_text(MODERN)
    score = load_from_file(f"{tmp_path}/modern.py:score", "reward")
    assert pickle.loads(pickle.dumps(score))().value == 0.5


def test_a_file_that_cannot_be_imported_is_imported_anew_when_it_is_mended(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("def f(): return 1\n1 / 0")
    with pytest.raises(ConfigError, match=r"reward file '.*broken.py' cannot be imported: ZeroDivisionError"):
        load_from_file(f"{path}:f", "reward")
    path.write_text("def f(): return 1")
    assert load_from_file(f"{path}:f", "reward")() == 1
