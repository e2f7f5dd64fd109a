"""The hub that does not answer is known in seconds, and what was downloaded from it before is used."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import datasets
import pytest
from huggingface_hub import constants

from tests.web.test_said import is_known
from workbench.errors import ConfigError
from workbench.tasks import hub
from workbench.tasks.hub import downloaded_model, hub_answers, no_answer, was_downloaded
from workbench.tasks.prompts import load_examples


class Mirror(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(302)  # any answer is one, wherever it points
        self.send_header("Location", "http://127.0.0.1:1/")
        self.end_headers()

    def log_message(self, *_) -> None:
        pass


@pytest.fixture(autouse=True)
def online(monkeypatch) -> None:
    """The tests as a whole stay offline."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@pytest.fixture
def mirror(online, monkeypatch) -> Iterator[None]:
    with HTTPServer(("127.0.0.1", 0), Mirror) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield
        server.shutdown()


def test_a_hub_or_a_mirror_that_answers_is_there(mirror):
    assert hub_answers()


def test_nothing_is_asked_where_the_libraries_are_told_to_stay_offline(mirror, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert not hub_answers()


def test_a_hub_that_takes_no_connection_or_never_answers_is_not(monkeypatch):
    monkeypatch.setattr(hub, "_SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert not hub_answers()  # refused
        silent.listen()
        assert not hub_answers()  # accepted, and left to wait


def test_what_was_downloaded_before_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(OSError, match=r"does not answer, and nothing of that name was downloaded before; HF_ENDPOINT"):
        downloaded_model("org/name")
    cached = tmp_path / "models--org--name"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("0123456789abcdef0123456789abcdef01234567")
    snapshot = cached / "snapshots" / "0123456789abcdef0123456789abcdef01234567"
    snapshot.mkdir(parents=True)
    assert downloaded_model("org/name") == str(snapshot)


def test_a_dataset_is_not_waited_for_unless_it_was_downloaded(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: pytest.fail("asked the hub"))
    with pytest.raises(ConfigError, match="'org/name' is neither a file here nor readable from the hub: the hub, http"):
        load_examples("org/name")
    (tmp_path / "org___name").mkdir()
    assert was_downloaded("org/name")
    rows = [{"prompt": "kept"}]
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: datasets.Dataset.from_list(rows))
    assert load_examples("org/name") == rows


def test_the_page_has_words_for_it():
    assert is_known(no_answer())
