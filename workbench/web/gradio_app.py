"""Gradio's part of the page as an application. Importing it takes seconds."""

import os

# read by gradio when it is imported: no calls home, no statistics kept per event
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000000000")
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "50")

import gradio as gr
from fastapi import FastAPI

from workbench.run.workbench import Workbench
from workbench.web.layout import build_page
from workbench.web.routes import STATIC


def gradio_app(workbench: Workbench) -> FastAPI:
    """Return an application with Gradio's page, its files and the named API."""
    page = build_page(workbench)
    page.api_open = False  # as queue(api_open=False), which would build Gradio's routes once more
    _let_the_queue_sleep(page)
    return gr.mount_gradio_app(
        FastAPI(openapi_url=None),
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


def _let_the_queue_sleep(page: gr.Blocks) -> None:
    """Make Gradio's idle queue look for work every 10 ms instead of every 1 ms: 1 % of a core instead of 5 %."""
    queue = getattr(page, "_queue", None)
    for name, seconds in (("sleep_when_free", 0.01), ("progress_update_sleep_when_free", 0.2)):
        if hasattr(queue, name):
            setattr(queue, name, seconds)
