import time
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.run.records import make_record
from tests.web.conftest import fake_engine
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs, knob_specs
from workbench.run.recorder import RunFolder
from workbench.run.recording import step_path
from workbench.run.store import RunStore
from workbench.run.workbench import Workbench


def wait_until(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def test_a_new_page_gets_everything_and_a_page_that_is_up_to_date_gets_nothing(client: TestClient) -> None:
    first = client.get("/wb/delta").json()
    assert (first["source"], first["state"], len(first["rows"]), first["next"]) == ("tape", "idle", 3, 3)
    assert first["events"] == [{"index": 0, "step": 3, "knob": "beta", "old": 0.04, "new": 0.1}]
    again = client.get("/wb/delta", params={"run": first["run"], "since": 3, "events": 1})
    assert again.json()["rows"] == again.json()["events"] == []
    assert again.headers["cache-control"] == "no-store"


def test_a_page_that_knows_another_run_starts_from_the_beginning(client: TestClient) -> None:
    delta = client.get("/wb/delta", params={"run": "another", "since": 2, "events": 1}).json()
    assert len(delta["rows"]) == 3 and len(delta["events"]) == 1


def test_a_group_never_changes_so_it_may_be_kept_for_ever(client: TestClient) -> None:
    run = client.get("/wb/delta").json()["run"]
    answer = client.get(f"/wb/group/{run}/2", params={"group": 1})
    assert answer.json()["group"] == 1 and len(answer.json()["completions"]) == 2
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize("path", ["/wb/group/nowhere/1", "/wb/group/{run}/9", "/wb/group/{run}/1?group=2"])
def test_what_is_not_there_is_told_in_a_sentence(client: TestClient, path: str) -> None:
    answer = client.get(path.format(run=client.get("/wb/delta").json()["run"]))
    assert answer.status_code == 404 and len(answer.json()["error"].split()) > 3


def test_a_step_whose_file_is_damaged_is_told_as_one_that_is_not_there(tmp_path: Path) -> None:
    from workbench.web.server import create_app  # noqa: PLC0415 - gradio takes seconds

    store = RunStore(RunConfig(), Knobs(), title="t", folder=RunFolder.create(tmp_path, RunConfig(), Knobs()), keep=0)
    store.append(make_record(1))
    step_path(tmp_path, 1).write_bytes(b"PK")
    made = Workbench(store, fake_engine, runs_folder=None, preset="addition")
    with TestClient(create_app(made, "0.1.0"), base_url="http://localhost:7860") as client:
        answer = client.get(f"/wb/group/{store.id}/1")
        assert answer.status_code == 404 and "step 1 cannot be shown" in answer.json()["error"]
        delta = client.get("/wb/delta", params={"news": -1, "group": 0})
        assert delta.status_code == 200 and len(delta.json()["rows"]) == 1 and "record" not in delta.json()


def test_the_page_is_told_every_knob_and_metric_in_both_languages(client: TestClient) -> None:
    spec = client.get("/wb/spec").json()
    assert [knob["name"] for knob in spec["knobs"]] == list(knob_specs())
    assert all(knob["help"]["en"] and knob["help"]["zh"] for knob in spec["knobs"])
    assert {"reward", "kl", "clip_ratio/region_mean"} <= spec["metrics"].keys()


def test_a_run_is_started_steered_and_stopped(client: TestClient, workbench: Workbench) -> None:
    tape = client.get("/wb/delta").json()["run"]
    assert client.post("/wb/do/start", json={"config": {"max_steps": 10_000}}).json() == {"ok": True}
    wait_until(lambda: workbench.store.newest_step >= 2)
    assert client.post("/wb/do/pause", json={}).status_code == 200
    wait_until(lambda: workbench.state == "paused")
    delta = client.get("/wb/delta").json()
    assert delta["run"] != tape and delta["source"] == "live" and delta["num_steps"] == 10_000
    assert client.post("/wb/do/knobs", json={"beta": 0.2}).status_code == 200
    pending = client.get("/wb/delta").json()["pending"]["beta"]
    assert (pending["old"], pending["new"]) == (0.04, 0.2) and pending["step"] > delta["next"]
    assert client.post("/wb/do/step", json={}).status_code == 200
    wait_until(lambda: workbench.state == "paused")
    client.post("/wb/do/step", json={})
    wait_until(lambda: workbench.state == "paused" and bool(workbench.store.events()))
    assert workbench.store.events()[0]["step"] == pending["step"]
    client.post("/wb/do/stop", json={})
    wait_until(lambda: workbench.state == "stopped")
    assert client.post("/wb/do/tape", json={}).status_code == 200
    assert client.get("/wb/delta").json()["run"] == tape


@pytest.mark.parametrize(
    ("action", "arguments", "named"),
    [
        ("start", {"preset": "nosuch"}, "nosuch"),
        ("start", {"config": {"model": "./nowhere"}}, "./nowhere"),
        ("start", {"config": {"colour": 1}}, "colour"),
        ("start", {"knobs": {"beta": "0.1"}}, "beta"),
        ("start", {"knobs": {"gamma": 1}}, "gamma"),
        ("knobs", {"beta": 1}, "no run"),
        ("pause", {}, "no run"),
        ("restart", {}, "nothing has been trained"),
    ],
)
def test_a_command_that_cannot_be_done_says_why_and_changes_nothing(
    client: TestClient, action: str, arguments: dict, named: str
) -> None:
    before = client.get("/wb/delta").json()
    answer = client.post(f"/wb/do/{action}", json=arguments)
    assert answer.status_code == 400 and named in answer.json()["error"]
    assert client.get("/wb/delta").json() == before


def test_a_bad_knob_changes_nothing_in_a_run(client: TestClient, workbench: Workbench) -> None:
    client.post("/wb/do/start", json={"config": {"max_steps": 10_000}})
    answer = client.post("/wb/do/knobs", json={"beta": 0.3, "epsilon": 7})
    assert answer.status_code == 400 and "epsilon=7" in answer.json()["error"] and "[0, 1]" in answer.json()["error"]
    assert workbench.knobs_and_pending()[1] == {}


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [(b"{}", "text/plain", 415), (b"{", "application/json", 400), (b"[]", "application/json", 400)],
)
def test_a_command_is_a_json_object_sent_as_json(client: TestClient, content: bytes, kind: str, status: int) -> None:
    answer = client.post("/wb/do/pause", content=content, headers={"content-type": kind})
    assert answer.status_code == status and answer.json()["error"]


def test_an_unknown_command_lists_those_there_are(client: TestClient) -> None:
    answer = client.post("/wb/do/dance", json={})
    assert answer.status_code == 404 and "pause" in answer.json()["error"]


def test_plotly_comes_from_this_machine_and_is_compressed(client: TestClient) -> None:
    answer = client.get("/wb/plotly.js")
    assert answer.headers["content-encoding"] == "gzip" and "plotly.js v" in answer.text[:400]


def test_the_curves_are_a_figure(client: TestClient) -> None:
    run = client.get("/wb/delta").json()["run"]
    figure = client.get("/wb/figure/curves", params={"run": run, "theme": "dark", "lang": "zh"}).json()
    assert figure["data"] and figure["layout"]["paper_bgcolor"] == "#16181B"


def test_the_memory_is_a_figure_of_this_run_and_of_other_methods_that_ran_here(
    client: TestClient, workbench: Workbench
) -> None:
    def methods_drawn() -> list[str]:
        run = client.get("/wb/delta").json()["run"]
        return client.get("/wb/figure/memory", params={"run": run}).json()["layout"]["yaxis"]["ticktext"]

    assert methods_drawn() == ["GRPO, this run"]
    client.post("/wb/do/start", json={"config": {"max_steps": 1, "method": "ppo"}})
    wait_until(lambda: workbench.store.newest_step == 1 and workbench.state == "stopped")
    assert methods_drawn() == ["PPO, this run", "GRPO"]
    client.post("/wb/do/start", json={"config": {"max_steps": 1, "method": "sft"}, "knobs": {"beta": 0.0}})
    wait_until(lambda: workbench.store.newest_step == 1 and workbench.state == "stopped")
    assert methods_drawn() == ["SFT, this run", "GRPO", "PPO"]


def test_a_figure_that_there_is_not_is_told_in_a_sentence(client: TestClient) -> None:
    run = client.get("/wb/delta").json()["run"]
    answer = client.get("/wb/figure/nosuch", params={"run": run})
    assert answer.status_code == 404 and "curves, memory" in answer.json()["error"]
    assert client.get("/wb/figure/curves", params={"run": "nowhere"}).status_code == 404


def test_an_update_of_the_page_shows_at_once(client: TestClient) -> None:
    answer = client.get("/wb/static/main.js")
    assert answer.headers["cache-control"] == "no-cache" and "javascript" in answer.headers["content-type"]
