"""A workbench on made-up records, with an engine that makes them without torch; and the real server."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from starlette.testclient import TestClient

from tests.run.records import make_record
from workbench.run.config import RunConfig
from workbench.run.knobs import KnobBoard, Knobs
from workbench.run.record import Progress, StepRecord
from workbench.run.store import RunStore
from workbench.run.workbench import Workbench

ROOT = Path(__file__).parents[2]


def fake_engine(config: RunConfig, board: KnobBoard, adapter_folder: Path | None) -> Iterator[Progress | StepRecord]:
    yield Progress(0, "load")
    for step in range(1, config.max_steps + 1):
        knobs = board.take()
        yield Progress(step, "sample", 1, 2)
        threading.Event().wait(0.002)
        yield make_record(step, knobs)


@pytest.fixture
def workbench() -> Iterator[Workbench]:
    tape = RunStore(RunConfig(), Knobs(beta=0.04), title="tape", source="tape", focus={"step": 2, "group": 0})
    for step, beta in ((1, 0.04), (2, 0.04), (3, 0.1)):
        tape.append(make_record(step, Knobs(beta=beta)))
    made = Workbench(tape, fake_engine, runs_folder=None, preset="addition")
    yield made
    assert made.close(), "the training thread ends when the server does"


@pytest.fixture
def client(workbench: Workbench) -> Iterator[TestClient]:
    from workbench.web.server import create_app  # noqa: PLC0415 - gradio takes seconds

    with TestClient(create_app(workbench, "0.1.0"), base_url="http://localhost:7860") as made:
        yield made


@pytest.fixture
def own_address(workbench: Workbench) -> Iterator[str]:
    """The address of a server in this process, on the made-up records."""
    from workbench.web.server import create_app  # noqa: PLC0415 - gradio takes seconds

    server = uvicorn.Server(uvicorn.Config(create_app(workbench, "0.1.0"), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://localhost:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """The address of `python app.py` with the bundled model, one server a test file."""
    runs = tmp_path_factory.mktemp("runs")
    command = [sys.executable, "app.py", "--no-browser", "--port", "0", "--runs-folder", str(runs)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    yield server.stdout.readline().split()[-1]
    server.terminate()
    assert server.wait(60) is not None, "the server stops its training thread and ends"
