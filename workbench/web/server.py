"""The server: the page's own routes, which answer at once, and Gradio behind them, which takes seconds to import."""

import asyncio
import errno
import gc
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from workbench.errors import ConfigError
from workbench.imports import quick_imports, without_proxies
from workbench.run.workbench import Workbench
from workbench.web.guard import Guard
from workbench.web.head import first_half, page_halves
from workbench.web.later import Later
from workbench.web.routes import STATIC, make_router, page_files

LISTENING = Callable[[str], None]


def create_app(workbench: Workbench, version: str, hosts: tuple[str, ...] = ()) -> FastAPI:
    """Return the whole application. When it shuts down, the training thread is told to stop and waited for."""
    gradio, first = Later(lambda: _import_gradio(workbench)), first_half(STATIC)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with gradio.running():
            yield
        workbench.close()

    app = FastAPI(title="GRPO workbench", lifespan=lifespan, openapi_url=None)
    app.include_router(make_router(workbench, version))
    app.mount("/wb/static", page_files())

    @app.get("/")
    async def page(request: Request) -> StreamingResponse:
        halves = page_halves(first, gradio, request.scope)
        return StreamingResponse(halves, media_type="text/html", headers={"Cache-Control": "no-cache"})

    app.mount("/", gradio)
    app.add_middleware(Guard, hosts=hosts)
    return app


def _import_gradio(workbench: Workbench) -> FastAPI:
    with without_proxies():
        with quick_imports():
            from workbench.web.gradio_app import gradio_app  # noqa: PLC0415 - seconds, for which the page need not wait
        gc.freeze()  # what is imported stays; later collections need not look at it
        return gradio_app(workbench)


def serve(app: FastAPI, host: str, port: int, on_listening: LISTENING) -> None:
    """Serve until interrupted; call `on_listening` with the address as soon as the page can be opened.

    Raises ConfigError if something else listens on the port, or nothing can.
    """
    config = uvicorn.Config(
        app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=1, use_colors=False
    )
    with suppress(KeyboardInterrupt):  # Ctrl-C is how one ends it: uvicorn has shut down by then, and says so this way
        _AnnouncingServer(config, on_listening).run()


class _AnnouncingServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_listening: LISTENING) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    def handle_exit(self, sig: int, frame: Any) -> None:
        """End once, and quietly: a second Ctrl-C, or a page still loading, is a traceback to uvicorn."""
        if not self.should_exit:
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            super().handle_exit(sig, frame)

    async def startup(self, sockets: Any = None) -> None:
        await _check_port(self.config.host, self.config.port)
        await super().startup(sockets)
        if self.started:
            host = "localhost" if self.config.host in ("0.0.0.0", "::") else self.config.host
            port = self.servers[0].sockets[0].getsockname()[1]
            self._on_listening(f"http://{f'[{host}]' if ':' in host else host}:{port}")


async def _check_port(host: str, port: int) -> None:
    """Raise ConfigError if the port is in use or the address is none to listen on."""
    try:
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, host, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise ConfigError(f"cannot listen on {host}, port {port}: {error.strerror}") from error
        raise ConfigError(
            f"port {port} is in use: stop what listens there, or let --port 0 take any free one"
        ) from error
    server.close()
