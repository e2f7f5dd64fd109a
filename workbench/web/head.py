"""What the page's head holds. Gradio has a head of its own, and would add ours when it has built half the page."""

from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_STYLE = (
    '<link rel="stylesheet" href="/wb/static/style.css">'  # last: of equal rules, ours and Gradio's, the later counts
)


def page_head(static: Path) -> str:
    """Return what to load at once, and the script that asks for the data while Gradio builds the page."""
    modules = sorted(path.relative_to(static).as_posix() for path in static.rglob("*.js"))
    fonts = sorted(path.relative_to(static).as_posix() for path in static.glob("fonts/*latin*.woff2"))
    return "".join(
        [
            "<script type=\"module\">import { open } from '/wb/static/main.js'; open();</script>",
            *(f'<link rel="modulepreload" href="/wb/static/{path}">' for path in modules),
            *(f'<link rel="preload" as="font" crossorigin href="/wb/static/{path}">' for path in fonts),
        ]
    )


class PageHead:
    """ASGI middleware that puts `head` first into the head of the page at /, and the style last."""

    def __init__(self, app: ASGIApp, head: str) -> None:
        self._app = app
        self._head = head.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/" and scope["method"] == "GET":
            await self._app(scope, receive, _Inserting(send, self._head))
        else:
            await self._app(scope, receive, send)


class _Inserting:
    """Holds an answer back until it is whole, and sends it with the head in it if it is a page."""

    def __init__(self, send: Send, head: bytes) -> None:
        self._send = send
        self._head = head
        self._start: Message = {}
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if message.get("more_body"):
            return
        if Headers(raw=self._start["headers"]).get("content-type", "").startswith("text/html"):
            self._body = self._body.replace(b"<head>", b"<head>" + self._head, 1)
            self._body = self._body.replace(b"</head>", _STYLE.encode() + b"</head>", 1)
            MutableHeaders(raw=self._start["headers"])["content-length"] = str(len(self._body))
        await self._send(self._start)
        await self._send({"type": "http.response.body", "body": self._body})
