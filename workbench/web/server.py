"""The server: FastAPI with the page's routes and Gradio mounted on it, behind the guard."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

# read by gradio when it is imported: no calls home, no statistics kept per event
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000000000")
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "50")

import gradio as gr
import uvicorn
from fastapi import FastAPI

from workbench.run.workbench import Workbench
from workbench.web.guard import Guard
from workbench.web.head import PageHead, page_head
from workbench.web.layout import build_page
from workbench.web.routes import STATIC, make_router, page_files

LISTENING = Callable[[str], None]


def create_app(workbench: Workbench, version: str, hosts: tuple[str, ...] = ()) -> FastAPI:
    """Return the whole application. When it shuts down, the training thread is told to stop and waited for."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        workbench.close()

    app = FastAPI(title="GRPO workbench", lifespan=lifespan, openapi_url=None)
    app.include_router(make_router(workbench, version))
    app.mount("/wb/static", page_files())
    page = build_page(workbench)
    page.api_open = False  # as queue(api_open=False), which would build Gradio's routes once more
    _let_the_queue_sleep(page)
    app = gr.mount_gradio_app(
        app,
        page,
        path="/",
        app_kwargs={"openapi_url": None, "docs_url": None, "redoc_url": None},
        theme=gr.themes.Base(font="system-ui", font_mono="monospace"),  # the page brings its own fonts
        favicon_path=str(STATIC / "icon.svg"),
        footer_links=[],
        run_history=False,
        show_error=False,
        enable_monitoring=False,
        max_file_size="1mb",
    )
    app.add_middleware(PageHead, head=page_head(STATIC))
    app.add_middleware(Guard, hosts=hosts)
    return app


def serve(app: FastAPI, host: str, port: int, on_listening: LISTENING) -> None:
    """Serve until interrupted; call `on_listening` with the address as soon as the page can be opened."""
    config = uvicorn.Config(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=1)
    server = _AnnouncingServer(config, on_listening)
    server.run()


class _AnnouncingServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_listening: LISTENING) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            host = "localhost" if self.config.host in ("0.0.0.0", "::") else self.config.host
            port = self.servers[0].sockets[0].getsockname()[1]
            self._on_listening(f"http://{host}:{port}")


def _let_the_queue_sleep(page: gr.Blocks) -> None:
    """Make Gradio's idle queue look for work every 10 ms instead of every 1 ms: 1 % of a core instead of 5 %."""
    queue = getattr(page, "_queue", None)
    for name, seconds in (("sleep_when_free", 0.01), ("progress_update_sleep_when_free", 0.2)):
        if hasattr(queue, name):
            setattr(queue, name, seconds)
