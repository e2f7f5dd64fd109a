import errno
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import orjson
import pytest

from tests.run.records import is_same, make_record
from workbench.errors import ConfigError, KnobError, WriteError
from workbench.run import recorder
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs
from workbench.run.recorder import RunFolder, new_run_path
from workbench.run.recording import step_path
from workbench.run.store import RunStore

ROOT = Path(__file__).parents[2]
ENDLESS_RUN = """
import sys
from pathlib import Path
from tests.run.records import make_record
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs
from workbench.run.recorder import RunFolder
from workbench.run.store import RunStore

folder = RunFolder.create(Path(sys.argv[1]), RunConfig(), Knobs())
store = RunStore(RunConfig(), Knobs(), title="t", folder=folder)
print("started", flush=True)
for step in range(1, 10**6):
    store.append(make_record(step, Knobs(beta=step % 7 / 10)))
    print(step, flush=True)
"""


def new_folder(path: Path, knobs: Knobs | None = None) -> RunFolder:
    return RunFolder.create(path, RunConfig(), knobs or Knobs())


def new_store(path: Path, **settings) -> RunStore:
    return RunStore(RunConfig(), Knobs(), title="t", folder=new_folder(path), **settings)


@pytest.mark.parametrize("moment_s", [0.0, 0.02, 0.05, 0.11, 0.23])
def test_a_kill_at_any_moment_loses_at_most_the_step_in_progress(tmp_path, moment_s):
    path = tmp_path / "run"
    command = [sys.executable, "-c", ENDLESS_RUN, str(path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "started\n"
    time.sleep(moment_s)
    os.kill(process.pid, signal.SIGKILL)
    finished = [int(line) for line in process.stdout.read().split()]
    process.wait()
    store = RunStore.open(RunFolder(path), title="t", source="replay")
    steps = [row["step"] for row in store.rows()]
    assert steps in (finished, [*finished, len(finished) + 1]), "every step that was reported is there, in order"
    for step in steps:
        knobs = Knobs(beta=step % 7 / 10)
        assert is_same(store.record(step), make_record(step, knobs))
    assert [event["step"] for event in store.events()] == steps, "β changed at each step"
    assert not steps or store.knobs == Knobs(beta=steps[-1] % 7 / 10)


def test_a_line_that_was_cut_off_is_left_out_and_so_is_its_knob_change(tmp_path):
    store = new_store(tmp_path)
    store.append(make_record(1))
    store.append(make_record(2, Knobs(beta=0.1)))
    whole = (tmp_path / "metrics.jsonl").read_bytes()
    first_line = whole.index(b"\n") + 1
    for cut in (first_line, first_line + 1, len(whole) - 2, len(whole) - 1):
        (tmp_path / "metrics.jsonl").write_bytes(whole[:cut])
        run = RunFolder(tmp_path).read()
        assert [row["step"] for row in run.rows] == [1]
        assert run.events == [] and run.knobs == Knobs()
    (tmp_path / "metrics.jsonl").write_bytes(whole)
    assert RunFolder(tmp_path).read().knobs == Knobs(beta=0.1)


def test_a_cut_off_line_of_knob_changes_does_not_hide_the_steps(tmp_path):
    store = new_store(tmp_path)
    store.append(make_record(1, Knobs(beta=0.1)))
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(b'{"index":1,"step":2,"kn')
    run = RunFolder(tmp_path).read()
    assert [row["step"] for row in run.rows] == [1] and run.knobs == Knobs(beta=0.1)


def test_the_folder_gives_back_the_settings_it_was_made_with(tmp_path):
    config = RunConfig(task="sorting", reward_funcs=("order",), reward_weights=(0.5,), seed=7)
    knobs = Knobs(delta=2.0, num_generations=4)
    RunFolder.create(tmp_path, config, knobs)
    run = RunFolder(tmp_path).read()
    assert (run.config, run.knobs, run.rows, run.events) == (config, knobs, [], [])


def test_an_event_says_step_name_old_and_new_value(tmp_path):
    store = new_store(tmp_path)
    store.append(make_record(1))
    store.append(make_record(2, Knobs(beta=0.1, epsilon_high=0.28)))
    lines = (tmp_path / "events.jsonl").read_bytes().splitlines()
    assert [orjson.loads(line) for line in lines] == [
        {"index": 0, "step": 2, "knob": "epsilon_high", "old": None, "new": 0.28},
        {"index": 1, "step": 2, "knob": "beta", "old": 0.0, "new": 0.1},
    ]


def test_a_folder_that_holds_a_run_is_never_written_over(tmp_path):
    store = new_store(tmp_path)
    store.append(make_record(1))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match="already holds a run: choose another folder"):
        new_folder(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(ConfigError, match="cannot make the run folder"):
            new_folder(path)


class FullDisk(BytesIO):
    def write(self, text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_folder_on_a_full_disk_is_told_in_a_sentence_and_can_be_made_later(tmp_path, monkeypatch):
    opened = Path.open

    def full(path, mode="r", **options):
        file = opened(path, mode, **options)
        if mode != "xb":
            return file
        file.close()
        return FullDisk()

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(ConfigError, match=r"cannot make the run folder .*: No space left on device"):
        new_folder(tmp_path / "run")
    monkeypatch.undo()
    new_folder(tmp_path / "run")


def test_of_many_that_make_a_folder_at_once_one_has_it(tmp_path):
    ready, made = threading.Barrier(8), []

    def make() -> None:
        ready.wait()
        with suppress(ConfigError):
            made.append(new_folder(tmp_path / "run"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_a_step_that_cannot_be_written_says_which_and_where(tmp_path, monkeypatch):
    store = new_store(tmp_path)
    store.append(make_record(1))

    def full(path, record):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(recorder, "write_step", full)
    with pytest.raises(WriteError) as told:
        store.append(make_record(2))
    assert str(told.value) == f"step 2 cannot be written to {tmp_path}: No space left on device"
    assert [row["step"] for row in RunFolder(tmp_path).read().rows] == [1]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "holds no run: it has no run.json"),
        ("{", "is not valid JSON"),
        ("[]", "schema"),
        ('{"schema": 99}', "has schema 99; this version reads schema"),
        ('{"schema": 2}', "run.json"),
        ('{"schema": 2, "config": {"nonsense": 1}, "knobs": {}}', "nonsense"),
        ('{"schema": 2, "config": {}, "knobs": {"nonsense": 1}}', "nonsense"),
    ],
)
def test_a_folder_that_holds_no_readable_run_is_refused_in_a_sentence(tmp_path, text, sentence):
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises((ConfigError, KnobError), match=sentence):
        RunFolder(tmp_path).read()


@pytest.mark.parametrize("name", ["run.json", "metrics.jsonl", "events.jsonl"])
def test_a_file_of_a_run_that_is_a_folder_is_told_in_a_sentence(tmp_path, name):
    new_folder(tmp_path)
    (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / name).mkdir()
    with pytest.raises(ConfigError, match=f"{name} cannot be read: Is a directory"):
        RunFolder(tmp_path).read()


@pytest.mark.parametrize("line", [b"junk", b"", b"\0" * 64, b"[]", b"{}", b'{"step": "1", "metrics": {}}', b"\xff"])
@pytest.mark.parametrize("name", ["metrics.jsonl", "events.jsonl"])
def test_a_damaged_line_is_told_with_its_file_and_number(tmp_path, name, line):
    store = new_store(tmp_path)
    store.append(make_record(1, Knobs(beta=0.1)))
    with (tmp_path / name).open("ab") as file:
        file.write(line + b"\n")
    for read in (RunFolder.read, lambda folder: RunStore.open(folder, title="t", source="replay")):
        with pytest.raises(ConfigError, match=f"line 2 of .*{name} is damaged: it must be a JSON object with step, "):
            read(RunFolder(tmp_path))


def test_a_step_whose_file_is_missing_or_damaged_is_told_in_a_sentence(tmp_path):
    store = new_store(tmp_path, keep=0)
    store.append(make_record(1))
    path = step_path(tmp_path, 1)
    whole = path.read_bytes()
    rng = random.Random(0)
    for damaged in (b"", whole[:1], whole[: len(whole) // 2], whole[:-1], b"PK", bytes(len(whole))):
        path.write_bytes(damaged)
        with pytest.raises(
            ConfigError, match=r"step 1 cannot be shown: .*000001\.npz is missing, damaged or of another"
        ):
            store.record(1)
    for _ in range(300):
        changed = bytearray(whole)
        changed[rng.randrange(len(whole))] = rng.randrange(256)
        path.write_bytes(changed)
        with suppress(ConfigError):
            store.record(1)
    path.unlink()
    with pytest.raises(ConfigError, match="step 1 cannot be shown"):
        store.record(1)
    path.write_bytes(whole)
    assert is_same(store.record(1), make_record(1))


def test_a_missing_folder_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    for path in (tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(ConfigError, match="holds no run"):
            RunFolder(path).read()


def test_two_runs_of_the_same_second_get_two_folders(tmp_path):
    paths = []
    for _ in range(3):
        paths.append(new_run_path(tmp_path, "addition"))
        new_folder(paths[-1])
    assert len(set(paths)) == 3


def test_a_step_that_was_not_finished_leaves_no_row(tmp_path):
    store = new_store(tmp_path)
    store.append(make_record(1))
    step_path(tmp_path, 2).with_suffix(".part").write_bytes(b"half")
    step_path(tmp_path, 3).write_bytes(b"whole, but its line was not written")
    assert [row["step"] for row in RunFolder(tmp_path).read().rows] == [1]
