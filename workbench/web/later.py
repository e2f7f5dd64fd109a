"""An application that is still being made while the server already answers for the others."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

_SHORT_TURN = 0.0005  # seconds; Python's own is 0.005


class Later:
    """An ASGI application that `make` returns, on a thread of its own. Until then whoever asks for it waits.

    If it cannot be made, or not started, every request raises why.
    """

    def __init__(self, make: Callable[[], FastAPI]) -> None:
        self._make = make

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Within it the application is made and, once it is there, started; at the end it is stopped."""
        self._app: asyncio.Future[FastAPI] = asyncio.get_running_loop().create_future()
        is_over = asyncio.Event()
        task = asyncio.create_task(self._run(is_over))
        task.add_done_callback(self._pass_failure_on)
        try:
            yield
        finally:
            is_over.set()
            await asyncio.wait([task])

    async def _run(self, is_over: asyncio.Event) -> None:
        app = await asyncio.to_thread(_giving_way, self._make)
        async with app.router.lifespan_context(app):
            self._app.set_result(app)
            await is_over.wait()

    def _pass_failure_on(self, task: asyncio.Task[None]) -> None:
        if not self._app.done() and not task.cancelled() and (error := task.exception()) is not None:
            self._app.set_exception(error)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = await asyncio.shield(self._app)
        await app(scope, receive, send)

    async def body(self, scope: Scope) -> bytes:
        """Return what it answers to a request without a body."""
        body = b""

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            nonlocal body
            body += message.get("body", b"")

        await self(dict(scope), receive, send)
        return body


def _giving_way(make: Callable[[], FastAPI]) -> FastAPI:
    """Return what `make` does. Until then threads take shorter turns, so that requests are answered meanwhile."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SHORT_TURN)
    try:
        return make()
    finally:
        sys.setswitchinterval(before)
