import json
import time
import urllib.request

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError


def delta(address: str) -> dict:
    with urllib.request.urlopen(f"{address}/wb/delta") as answer:
        return json.loads(answer.read())


def test_a_script_starts_a_run_turns_a_knob_and_stops_it_by_the_named_endpoints(address: str) -> None:
    client = Client(address, verbose=False)
    with pytest.raises(AppError, match="no run is going on"):
        client.predict(api_name="/pause")
    client.predict("addition", {"max_steps": 10_000, "seed": 3}, {"num_iterations": 1}, api_name="/start")
    deadline = time.monotonic() + 60
    while delta(address)["next"] < 1:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert delta(address)["seed"] == 3
    with pytest.raises(AppError, match=r"beta=99 .* \[0, 10\]"):
        client.predict({"beta": 99}, api_name="/set_knobs")
    client.predict({"beta": 0.3}, api_name="/set_knobs")
    while not delta(address)["events"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert delta(address)["events"][0] | {"step": 0} == {"index": 0, "step": 0, "knob": "beta", "old": 0.04, "new": 0.3}
    client.predict(api_name="/stop")
    while delta(address)["state"] != "stopped":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    [run] = client.predict(api_name="/runs")["runs"]
    assert client.predict(run["name"], api_name="/open") == "idle"
    assert (delta(address)["source"], delta(address)["seed"]) == ("replay", 3)
    with pytest.raises(AppError, match="there is no run"):
        client.predict(f"../{run['name']}", api_name="/open")
