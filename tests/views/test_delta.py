from collections.abc import Iterator
from dataclasses import replace

import orjson
import pytest

from tests.run.records import make_record
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs
from workbench.run.store import RunStore
from workbench.run.workbench import Workbench
from workbench.views.delta import page_delta

KEYS = [
    "run",
    "source",
    "title",
    "model",
    "device",
    "seed",
    "method",
    "bug",
    "folder",
    "opened",
    "state",
    "phase",
    "error",
    "num_steps",
    "rows",
    "next",
    "events",
    "next_event",
    "knobs",
    "pending",
    "focus",
    "step_time",
    "tokens_per_second",
    "eta",
]


def make_store(num_steps: int, *, source="tape") -> RunStore:
    store = RunStore(RunConfig(max_steps=10), Knobs(), title="t", source=source, focus={"step": 1, "group": 0})
    for step in range(1, num_steps + 1):
        record = make_record(step, Knobs(beta=0.1) if step > 2 else Knobs())
        record.metrics["step_time"] = 0.5  # type: ignore[index]
        store.append(record)
    return store


def make_workbench(num_steps: int) -> Workbench:
    def never(*_) -> Iterator:
        raise AssertionError("nothing is trained here")

    return Workbench(make_store(num_steps), never, runs_folder=None, preset="addition")


def test_a_new_page_gets_everything_in_the_fields_of_the_contract():
    bench = make_workbench(4)
    delta = page_delta(bench, None, 0, 0)
    assert sorted(delta) == sorted(KEYS)
    assert (delta["state"], delta["phase"], delta["error"], delta["pending"]) == ("idle", None, None, {})
    assert [row["step"] for row in delta["rows"]] == [1, 2, 3, 4] and delta["next"] == 4
    assert [(e["step"], e["knob"]) for e in delta["events"]] == [(3, "beta")] and delta["next_event"] == 1
    assert (delta["num_steps"], delta["eta"], delta["step_time"]) == (4, None, 0.5)
    assert delta["knobs"]["beta"] == 0.1 and delta["focus"] == {"step": 1, "group": 0}
    orjson.dumps(delta)


def test_a_page_that_knows_the_run_gets_only_what_is_new():
    bench = make_workbench(4)
    run = bench.store.id
    delta = page_delta(bench, run, 3, 1)
    assert [row["step"] for row in delta["rows"]] == [4] and delta["next"] == 4
    assert delta["events"] == [] and delta["next_event"] == 1
    nothing = page_delta(bench, run, 4, 1)
    assert nothing["rows"] == [] and nothing["next"] == 4


def test_a_row_is_sent_without_the_memory_that_hardly_changes_and_kept_with_it():
    store = make_store(0)
    store.append(replace(make_record(1), memory={"policy": 5}))
    bench = Workbench(store, lambda *_: iter(()), runs_folder=None, preset="addition")
    assert "memory" not in page_delta(bench, None, 0, 0)["rows"][0]
    assert store.rows()[0]["memory"] == store.memory == {"policy": 5}


def test_the_method_is_named_and_so_is_a_mistake_that_was_made_on_purpose():
    healthy = page_delta(make_workbench(1), None, 0, 0)
    assert (healthy["method"], healthy["bug"]) == ("grpo", None)
    store = RunStore(RunConfig(bug="padding_shift"), Knobs(), title="t")
    broken = page_delta(Workbench(store, lambda *_: iter(()), runs_folder=None, preset="addition"), None, 0, 0)
    assert broken["bug"] == "padding_shift"


def test_the_time_left_is_that_of_steps_that_cost_what_the_next_ones_will():
    store = RunStore(RunConfig(max_steps=10), Knobs(), title="t")
    for step, size in enumerate([8, 8, 8, 64], start=1):
        record = make_record(step, Knobs(num_generations=size))
        store.append(replace(record, metrics={**record.metrics, "step_time": float(size)}))
    delta = page_delta(Workbench(store, lambda *_: iter(()), runs_folder=None, preset="addition"), None, 0, 0)
    assert (delta["step_time"], delta["eta"]) == (64.0, 6 * 64.0)


def test_a_page_of_another_run_starts_over():
    delta = page_delta(make_workbench(2), "another", 99, 99)
    assert delta["next"] == len(delta["rows"]) == 2


def test_before_the_first_step_nothing_is_known_and_nothing_breaks():
    delta = page_delta(make_workbench(0), None, 0, 0)
    assert (delta["rows"], delta["device"], delta["step_time"], delta["tokens_per_second"]) == ([], None, None, None)
    assert delta["num_steps"] == 0


def test_a_value_that_is_no_number_is_null_on_the_wire():
    store = make_store(0)
    store.append(replace(make_record(1), metrics={"reward": float("nan"), "kl": None, "step_time": 0.5}))
    bench = Workbench(store, lambda *_: iter(()), runs_folder=None, preset="addition")
    metrics = orjson.loads(orjson.dumps(page_delta(bench, None, 0, 0)))["rows"][0]["metrics"]
    assert metrics["reward"] is None and metrics["kl"] is None


@pytest.mark.parametrize("since", [0, 2])
def test_asking_changes_nothing(since):
    bench = make_workbench(3)
    assert page_delta(bench, bench.store.id, since, 0) == page_delta(bench, bench.store.id, since, 0)
