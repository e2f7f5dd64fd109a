import time
from pathlib import Path

import orjson
import pytest

from tests.run.records import make_record
from workbench.errors import ConfigError, KnobError
from workbench.run import library
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs
from workbench.run.library import MOST_RUNS, first_settings, list_runs, open_earlier
from workbench.run.recorder import RunFolder, _append_lines
from workbench.run.session import Session
from workbench.run.store import RunStore

NEWS = "20261123-140501-addition"


def make_run(path: Path, config: RunConfig | None = None, knobs: Knobs | None = None, *, steps: int = 2) -> Path:
    config, knobs = config or RunConfig(), knobs or Knobs()
    store = RunStore(config, knobs, title="t", folder=RunFolder.create(path, config, knobs))
    for step in range(1, steps + 1):
        store.append(make_record(step, knobs))
    return path


def date(path: Path, created: object) -> None:
    about = orjson.loads((path / "run.json").read_bytes())
    (path / "run.json").write_bytes(orjson.dumps(about | {"created": created}))


def test_a_run_is_told_by_what_it_was_and_how_far_it_came(tmp_path):
    config, knobs = RunConfig(method="ppo", model="./mine", seed=3), Knobs(beta=0.1, num_iterations=4)
    make_run(tmp_path / NEWS, config, knobs, steps=3)
    date(tmp_path / NEWS, "2026-11-23T14:05:01+0800")
    [run] = list_runs(tmp_path)
    assert (run.name, run.title, run.created) == (NEWS, "addition", 1795413901.0)
    assert (run.method, run.model, run.bug, run.steps, run.reward) == ("ppo", "./mine", "none", 3, 0.5)


def test_of_the_knobs_those_are_told_that_the_preset_of_its_task_has_otherwise(tmp_path):
    usual = {"num_iterations": 4, "beta": 0.04, "max_completion_length": 48, "learning_rate": 2e-4}
    make_run(tmp_path / "usual", knobs=Knobs(**usual))
    make_run(tmp_path / "other", knobs=Knobs(**usual | {"beta": 0.3}))
    assert {run.name: run.knobs for run in list_runs(tmp_path)} == {"usual": {}, "other": {"beta": 0.3}}


def test_the_knobs_told_are_those_that_it_began_with(tmp_path):
    store = RunStore(RunConfig(), Knobs(), title="t", folder=RunFolder.create(tmp_path / "run", RunConfig(), Knobs()))
    for step in (1, 2):
        store.append(make_record(step, Knobs(beta=0.1 * step)))
    assert "beta" in list_runs(tmp_path)[0].knobs and list_runs(tmp_path)[0].knobs["beta"] == 0.0
    assert first_settings(RunFolder(tmp_path / "run")) == (RunConfig(), Knobs())


def test_a_folder_that_somebody_named_gives_the_run_its_title(tmp_path):
    make_run(tmp_path / "small steps")
    make_run(tmp_path / f"{NEWS}-2")
    assert {run.title for run in list_runs(tmp_path)} == {"small steps", "addition"}
    assert open_earlier(tmp_path, "small steps").title == "small steps"
    assert open_earlier(tmp_path, f"{NEWS}-2").title == "addition"


def test_the_newest_comes_first_and_only_so_many_are_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(library, "MOST_RUNS", 2)
    for name, hour in (("b", "11:00:00+0000"), ("c", "12:30:00+0100"), ("a", "10:00:00+0000")):
        date(make_run(tmp_path / name, steps=1), f"2026-11-23T{hour}")
    assert [run.name for run in list_runs(tmp_path)] == ["c", "b"] and MOST_RUNS == 50


@pytest.mark.parametrize("created", [None, "yesterday", 7, "2026-13-01T00:00:00+0000"])
def test_a_run_that_does_not_say_when_it_began_is_dated_by_its_file(tmp_path, created):
    date(make_run(tmp_path / "run"), created)
    assert abs(list_runs(tmp_path)[0].created - time.time()) < 60


def test_runs_of_one_second_are_in_their_order(tmp_path):
    for name in ("b", "c", "a"):
        date(make_run(tmp_path / name, steps=1), "2026-11-23T10:00:00+0000")
        time.sleep(0.02)
    assert [run.name for run in list_runs(tmp_path)] == ["a", "c", "b"]


def test_what_holds_no_run_is_left_out_and_hides_no_other(tmp_path):
    make_run(tmp_path / "good")
    make_run(tmp_path / "without a step", steps=0)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("no folder")
    for number, text in enumerate(("", "{", "[]", '{"schema": 99}', '{"schema": 2, "config": 1, "knobs": {}}')):
        (make_run(tmp_path / f"bad{number}") / "run.json").write_text(text)
    for number, (key, value) in enumerate((("config", {"nonsense": 1}), ("knobs", {"beta": -1}), ("knobs", {"x": 1}))):
        path = make_run(tmp_path / f"odd{number}") / "run.json"
        path.write_bytes(orjson.dumps(orjson.loads(path.read_bytes()) | {key: value}))
    for number, text in enumerate(
        (b"", b"junk\n", b'{"step": 1', b"[]\n", b'{"step": "1", "metrics": {}}\n', b"\xff\n")
    ):
        (make_run(tmp_path / f"rows{number}") / "metrics.jsonl").write_bytes(text)
    for name in ("run.json", "metrics.jsonl"):
        path = make_run(tmp_path / f"folder {name}") / name
        path.unlink()
        path.mkdir()
    assert [run.name for run in list_runs(tmp_path)] == ["good"]


def test_where_there_is_no_folder_of_runs_there_are_none(tmp_path):
    (tmp_path / "file").write_text("no folder")
    assert [list_runs(path) for path in (None, tmp_path / "nowhere", tmp_path / "file")] == [[], [], []]


@pytest.mark.parametrize("rest", [b"", b'{"step":10001,"metr', b"x" * 100_000])
def test_of_a_long_run_only_the_end_is_read(tmp_path, monkeypatch, rest):
    folder = RunFolder(make_run(tmp_path / "long", steps=1))
    row = make_record(1).row()
    _append_lines(folder.metrics, [row | {"step": step} for step in range(2, 2001)])
    with folder.metrics.open("ab") as file:
        file.write(rest)
    monkeypatch.setattr(RunFolder, "read_rows", None)
    monkeypatch.setattr(library, "_REACHES", (1 << 16, 1 << 18))
    assert folder.metrics.stat().st_size > 1 << 19 and list_runs(tmp_path)[0].steps == 2000


def test_a_row_longer_than_the_first_look_is_read_whole(tmp_path):
    folder = RunFolder(make_run(tmp_path / "wide", steps=0))
    row = make_record(1).row()
    many = row["groups"] * 4000
    _append_lines(folder.metrics, [row | {"groups": many}, row | {"groups": many, "step": 2}])
    assert folder.metrics.stat().st_size > 1 << 18 and list_runs(tmp_path)[0].steps == 2


def test_a_reward_that_was_not_measured_is_none(tmp_path):
    folder = RunFolder(make_run(tmp_path / "run"))
    _append_lines(folder.metrics, [make_record(3).row() | {"metrics": {"reward": float("nan")}}])
    assert (list_runs(tmp_path)[0].steps, list_runs(tmp_path)[0].reward) == (3, None)


NAMES = ["", ".", "..", "../outside", "runs/good", "good/", "./good", "good/../good", "/etc", "link", "file", "nowhere"]


@pytest.mark.parametrize("name", [*NAMES, "good\0", "GOOD", None, 1, ["good"], {"a": 1}, "x" * 10_000])
def test_only_a_folder_directly_in_that_of_the_runs_is_opened(tmp_path, name):
    runs = tmp_path / "runs"
    make_run(runs / "good")
    make_run(tmp_path / "outside")
    (runs / "link").symlink_to(tmp_path / "outside", target_is_directory=True)
    (runs / "file").write_text("no folder")
    with pytest.raises(ConfigError, match=r"there is no run .* in the folder of runs") as refused:
        open_earlier(runs, name if name != "/etc" else str(tmp_path / "outside"))
    assert len(str(refused.value)) < 200
    assert [run.name for run in list_runs(runs)] == ["good"]
    assert open_earlier(runs, "good").newest_step == 2


def test_a_name_that_is_no_text_is_left_out(tmp_path):
    make_run(tmp_path / "good")
    try:
        make_run(tmp_path / b"caf\xe9".decode("utf-8", "surrogateescape"))
    except OSError:
        pytest.skip("this file system has only names that are text")
    assert [run.name for run in list_runs(tmp_path)] == ["good"]


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("run.json", b"{", "is not valid JSON"),
        ("run.json", b'{"schema": 1}', "has schema 1; this version reads"),
        ("run.json", b'{"schema": 2, "config": {}, "knobs": {"beta": -1}}', "beta=-1"),
        ("metrics.jsonl", b"", "the run 'run' has no step to show"),
        ("metrics.jsonl", b'junk\n{"step": 1, "metrics": {}}\n', "line 1 of "),
        ("metrics.jsonl", b'{"step": 1, "metrics": {}}\n', "line 1 of .* is damaged"),
    ],
)
def test_a_run_that_cannot_be_shown_is_told_in_a_sentence(tmp_path, file, text, sentence):
    (make_run(tmp_path / "run") / file).write_bytes(text)
    with pytest.raises((ConfigError, KnobError), match=sentence):
        open_earlier(tmp_path, "run")


def test_a_run_whose_rewards_only_a_session_had_is_not_begun_again_with_others(tmp_path):
    def mine(completions: list[str], **_) -> list[float]:
        return [1.0 for _ in completions]

    Session(reward_funcs=mine, out=tmp_path / "run")
    with pytest.raises(ConfigError, match=r"\['mine'\] were given to a Session"):
        first_settings(RunFolder(tmp_path / "run"))
    Session(out=tmp_path / "other")
    assert first_settings(RunFolder(tmp_path / "other")) == (RunConfig(), Knobs())


def test_a_run_that_cannot_be_trained_here_again_says_why(tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        first_settings(RunFolder(make_run(tmp_path / "data", RunConfig(dataset="nowhere.jsonl"))))
    with pytest.raises(ConfigError, match="gone-model"):
        first_settings(RunFolder(make_run(tmp_path / "model", RunConfig(model="./gone-model"))))
