import pytest
import torch

from workbench.engine import clock as module
from workbench.engine.clock import Clock


@pytest.fixture
def now(monkeypatch):
    """Return the time as a list of one number that the test moves on."""
    time = [100.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: time[0])
    return time


def test_a_lap_is_the_time_since_the_last_one_without_what_passed_while_stopped(now):
    clock = Clock(torch.device("cpu"))
    now[0] += 1
    clock.stop()
    now[0] += 1000  # paused
    clock.start()
    now[0] += 2
    clock.lap("sample")
    now[0] += 4
    clock.lap("reward")
    clock.lap("score")
    assert clock.read() == {"sample": 3.0, "reward": 4.0, "score": 0.0}


def test_a_stage_that_comes_twice_is_added_up(now):
    clock = Clock(torch.device("cpu"))
    for stage, seconds in (("a", 1.0), ("b", 2.0), ("a", 4.0)):
        now[0] += seconds
        clock.lap(stage)
    assert clock.read() == {"a": 5.0, "b": 2.0}
    clock.read()["a"] = 0.0
    assert clock.read()["a"] == 5.0
