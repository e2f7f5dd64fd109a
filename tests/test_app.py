"""`python app.py` with what cannot be used: one sentence on standard error, and no page."""

import pytest

import app
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs
from workbench.run.recorder import RunFolder


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("run.json", '{"schema": 2, "config": {}, "knobs": {"nonsense": 1}}', "nonsense"),
        ("run.json", '{"schema": 2, "config": {}, "knobs": {"beta": -1}}', "beta=-1 is not allowed"),
        ("metrics.jsonl", "junk\n", "line 1 of "),
    ],
)
def test_a_run_folder_that_is_damaged_is_told_in_a_sentence(tmp_path, capsys, name, text, sentence):
    RunFolder.create(tmp_path, RunConfig(), Knobs())
    (tmp_path / name).write_text(text)
    assert app.main(["--no-browser", "--run", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("app.py: ") and sentence in said and said.count("\n") == 1
