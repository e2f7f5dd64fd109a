"""`python app.py` with what cannot be used: one sentence on standard error, and no page."""

import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

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


@pytest.mark.parametrize("port", ["99999", "65536", "-1", "1.5", "http"])
def test_a_port_that_there_is_not_is_told_with_those_there_are(capsys, port):
    with pytest.raises(SystemExit) as ended:
        app.main(["--no-browser", f"--port={port}"])
    assert ended.value.code == 2
    assert f"'{port}' is not a port: it must be a whole number in [0, 65535]" in capsys.readouterr().err


def test_a_port_that_is_in_use_is_told_in_a_sentence_with_what_to_do(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert app.main(["--no-browser", "--port", str(port)]) == 2
    expected = f"app.py: port {port} is in use: stop what listens there, or let --port 0 take any free one\n"
    assert capsys.readouterr().err == expected


def test_an_address_that_is_none_is_told_in_a_sentence(capsys):
    assert app.main(["--no-browser", "--host", "nowhere.invalid"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("app.py: cannot listen on nowhere.invalid, port 7860: ") and said.count("\n") == 1


def test_an_empty_host_is_none(capsys):
    with pytest.raises(SystemExit) as ended:
        app.main(["--no-browser", "--host", ""])
    assert ended.value.code == 2 and "127.0.0.1 is this machine only" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "opens"), [("w3m", False), ("/usr/bin/www-browser", False), ("firefox", True)])
def test_a_browser_with_windows_is_opened_and_never_waited_for(monkeypatch, name, opens):
    opened, may_end = threading.Event(), threading.Event()

    class Browser:
        def __init__(self) -> None:
            self.name = name

        def open(self, address: str) -> None:
            opened.set()
            may_end.wait(10)

    monkeypatch.setattr(app.webbrowser, "get", Browser)
    app._open_browser("http://localhost")
    assert opened.wait(5 if opens else 0.1) == opens
    may_end.set()


def test_a_machine_without_a_browser_is_no_error(monkeypatch):
    def none():
        raise app.webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(app.webbrowser, "get", none)
    app._open_browser("http://localhost")


def test_a_python_without_the_packages_says_how_to_get_them():
    root = Path(app.__file__).parent
    done = subprocess.run([sys.executable, "-S", "app.py"], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "is not installed for this Python: `make app` installs everything" in done.stderr


def test_proxies_that_gradio_cannot_use_do_not_matter_to_the_page(tmp_path, monkeypatch):
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:7890")
    monkeypatch.setenv("all_proxy", "socks://127.0.0.1:7890")
    monkeypatch.setenv("no_proxy", "localhost,::1,[::1],*.local")
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent.pem")
    server, address = started(tmp_path)
    try:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        page = direct.open(address, timeout=60).read().decode()
    finally:
        server.terminate()
        server.communicate(timeout=60)
    assert "gradio_config" in page and page.rstrip().endswith("</html>")


def started(runs: Path) -> tuple[subprocess.Popen, str]:
    """Return `python app.py` with the address that it printed."""
    command = [sys.executable, "app.py", "--no-browser", "--port", "0", "--runs-folder", str(runs)]
    root = Path(app.__file__).parent
    server = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert server.stdout is not None
    return server, server.stdout.readline().split()[-1]


def test_ctrl_c_ends_a_run_and_the_server_without_a_traceback(tmp_path):
    server, address = started(tmp_path)
    headers = {"Content-Type": "application/json"}
    start = urllib.request.Request(f"{address}/wb/do/start", b"{}", headers)
    with urllib.request.urlopen(start, timeout=60) as answer:
        assert answer.status == 200
    while not list(tmp_path.glob("*/steps/*.npz")):
        assert server.poll() is None
        time.sleep(0.1)
    for _ in range(2):  # some press it twice
        server.send_signal(signal.SIGINT)
        time.sleep(0.05)
    said = server.communicate(timeout=60)[1]
    assert (server.returncode, said) == (0, "")
    [folder] = tmp_path.iterdir()
    assert RunFolder(folder).read().rows, "what was recorded stays"


def test_ctrl_c_ends_the_server_without_a_traceback_while_a_page_is_loading(tmp_path):
    server, address = started(tmp_path)
    with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as page:
        page.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert page.recv(15) == b"HTTP/1.1 200 OK", "its second half is Gradio's, which is still being imported"
        server.send_signal(signal.SIGINT)
        said = server.communicate(timeout=60)[1]
    assert (server.returncode, said) == (0, "")
