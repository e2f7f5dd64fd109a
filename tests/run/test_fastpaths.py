import json

import pytest

from tests.run.records import make_record
from workbench.__main__ import main
from workbench.errors import ConfigError
from workbench.run.config import RunConfig
from workbench.run.fastpaths import ALL, FAST_PATHS
from workbench.run.record import STAGES
from workbench.run.recorder import RunFolder
from workbench.run.session import Session
from workbench.run.store import RunStore


def test_every_fast_path_is_used_unless_it_is_left_out_by_name_or_with_all():
    assert all(RunConfig().uses(name) for name in FAST_PATHS)
    config = RunConfig(plain_paths=("cuda_graphs",))
    assert [name for name in FAST_PATHS if not config.uses(name)] == ["cuda_graphs"]
    assert not any(RunConfig(plain_paths=(ALL,)).uses(name) for name in FAST_PATHS)
    with pytest.raises(AssertionError, match="no_such is no fast path"):
        RunConfig().uses("no_such")


@pytest.mark.parametrize("bad", ["no_such", "lean model"])
def test_a_name_that_is_no_fast_path_is_refused_by_name(bad):
    with pytest.raises(ConfigError, match=f"^plain_paths='{bad}' is not allowed: it must be among all, merged_rollout"):
        RunConfig(plain_paths=("cuda_graphs", bad))


def test_the_switch_survives_json():
    config = RunConfig(plain_paths=("lean_model", "shared_prompt"))
    assert RunConfig.from_mapping(json.loads(json.dumps(config.as_dict()))) == config


def test_the_command_line_leaves_out_what_is_named_and_refuses_what_is_not_there(make_config, tmp_path, capsys):
    folder = tmp_path / "run"
    command = ["train", "--steps", "1", "--prompts-per-step", "1", "--set", "max_completion_length=2"]
    assert main([*command, "--plain-path", "no_such"]) == 2
    assert "plain_paths='no_such' is not allowed" in capsys.readouterr().err
    named = ["--plain-path", "cuda_graphs", "--plain-path", "shared_prompt"]
    assert main([*command, *named, "--model", make_config().model, "--out", str(folder)]) == 0
    assert RunFolder(folder).read().config.plain_paths == ("cuda_graphs", "shared_prompt")


def test_a_step_says_which_fast_paths_it_took_and_what_the_machine_needs_for_it(make_config):
    (record,) = Session(make_config()).run(1)
    assert set(record.fast_paths) <= set(FAST_PATHS) and "fused_adamw" in record.fast_paths
    assert set(record.limits) == {"sample", "score", "update"}
    assert all(seconds > 0 for seconds in record.limits.values())


def test_every_fast_path_has_words_in_both_languages_and_belongs_to_stages():
    for name, path in FAST_PATHS.items():
        for english, chinese in (path.title, path.meaning, path.needs):
            assert english and chinese and english != chinese, name
        assert path.stages and set(path.stages) <= set(STAGES)


def test_the_time_to_write_a_step_down_is_counted_as_recording(tmp_path):
    record = make_record()
    folder = RunFolder.create(tmp_path / "run", RunConfig(), record.knobs)
    row = record.row()
    row["metrics"]["step_time"] = 1.0
    folder.append(record, row, [])
    (kept,) = folder.read().rows
    assert kept == row and row["timings"]["record"] > 0
    assert row["metrics"]["step_time"] == pytest.approx(1.0 + row["timings"]["record"])


def test_a_step_that_is_written_beside_the_next_one_takes_no_longer_for_it(tmp_path):
    record = make_record()
    store = RunStore(RunConfig(), record.knobs, title="t", folder=RunFolder.create(tmp_path, RunConfig(), record.knobs))
    store.append(record, beside=True)
    assert store.row(1) == record.row() and store.row(1)["timings"] == dict(record.timings)
