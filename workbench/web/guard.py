"""Who may talk to the server: pages of this server, by the names it is known by. Everybody else is refused.

A page on another site can reach a server on this machine through the visitor's browser. So the host name must be one
of ours (against DNS rebinding), a request that changes something must come from our own page (against cross-site
posts), and those of Gradio's routes that the workbench does not use are closed.
"""

import socket
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_ALL_ADDRESSES = frozenset({"0.0.0.0", "::"})
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_CLOSED = frozenset(
    {"upload", "upload_progress", "file", "proxy", "component_server", "stream", "deep_link", "dev", "reload", "runs"}
    | {"run-history", "process_recording", "monitoring", "vibe-edit", "vibe-code", "undo-vibe-edit"}
)


class Guard:
    """ASGI middleware that answers 403 to requests the workbench has no reason to serve."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str] = ()) -> None:
        self._app = app
        self._hosts = LOOPBACK | {host.lower() for host in hosts}
        self._is_open = not _ALL_ADDRESSES.isdisjoint(self._hosts)
        if self._is_open:
            self._hosts |= {socket.gethostname().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        reason = self._refusal(scope)
        if reason is None:
            await self._app(scope, receive, send)
        else:
            await JSONResponse({"error": reason}, status_code=403)(scope, receive, send)

    def _is_ours(self, name: str | None) -> bool:
        """Return whether the server is known by that name; where it listens on all addresses, by any that is no name:
        of an address nobody can change what it stands for."""
        return name is not None and (name in self._hosts or (self._is_open and _is_address(name)))

    def _refusal(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_ours(_name_of(f"//{host}")):
            return f"this server does not answer to {host!r}: start it with that name or address after --host"
        if _is_closed(scope["path"]):
            return "this route is closed"
        if scope["method"] not in _SAFE_METHODS and not _is_same_origin(headers, host):
            return (
                "requests that change something must come from the workbench's own page; a proxy in front of it must "
                "pass the Host header on (nginx: proxy_set_header Host $http_host)"
            )
        return None


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _name_of(address: str) -> str | None:
    """Return the host's name in an address, in small letters; None where it has none that can be read."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _is_closed(path: str) -> bool:
    parts = [part.split("=")[0] for part in path.split("/") if part]  # Gradio writes file=PATH and proxy=URL
    return parts[:1] != ["wb"] and any(part in _CLOSED for part in parts[:2])


def _is_same_origin(headers: Headers, host: str) -> bool:
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != host:
        return False
    return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
