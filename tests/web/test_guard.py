import socket

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from workbench.web.guard import Guard

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1:9999", "[::1]:7860"])
def test_the_server_answers_to_this_machines_names_on_any_port(client: TestClient, host: str) -> None:
    assert client.get("/wb/spec", headers={"host": host}).status_code == 200


def test_a_server_on_all_addresses_answers_to_each_of_them_and_to_no_other_name() -> None:
    guard = Guard(FastAPI(), hosts=("0.0.0.0",))
    hosts = ("192.0.2.2:7860", "[2001:db8::1]:7860", f"{socket.gethostname()}:7860", "evil.example", "localhost")
    status = {host: TestClient(guard, base_url=f"http://{host}").get("/x").status_code for host in hosts}
    assert [host for host, code in status.items() if code == 403] == ["evil.example"]


def test_names_are_told_apart_without_their_case() -> None:
    guard = Guard(FastAPI(), hosts=("MyBox",))
    assert "name" in TestClient(guard).get("/x").json()["error"]
    assert TestClient(guard, base_url="http://mybox:7860").get("/x").status_code == 404


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:7860", "", "10.0.0.8:7860", "["])
def test_another_host_name_is_refused_so_that_dns_rebinding_fails(client: TestClient, host: str) -> None:
    answer = client.get("/wb/delta", headers={"host": host})
    assert answer.status_code == 403 and "name" in answer.json()["error"]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"origin": "http://localhost:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_page_of_another_site_can_change_nothing(client: TestClient, headers: dict[str, str]) -> None:
    for path in ("/wb/do/start", "/gradio_api/queue/join", "/gradio_api/call/start"):
        assert client.post(path, content=b"{}", headers=JSON | headers).status_code == 403


def test_our_own_page_and_programs_without_an_origin_may_send_commands(client: TestClient) -> None:
    for headers in ({}, {"origin": "http://localhost:7860", "sec-fetch-site": "same-origin"}):
        assert client.post("/wb/do/pause", content=b"{}", headers=JSON | headers).status_code == 400  # nothing to pause


@pytest.mark.parametrize(
    "path",
    ["/gradio_api/upload", "/gradio_api/file=/etc/passwd", "/gradio_api/component_server", "/gradio_api/proxy=x"],
)
def test_gradio_routes_that_the_page_does_not_use_are_closed(client: TestClient, path: str) -> None:
    assert client.post(path, content=b"{}", headers=JSON).status_code == 403
    assert client.get(path).status_code == 403


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/redoc"])
def test_no_generated_documentation_is_served(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404 or "openapi" not in answer.text.lower()
