"""The Gradio page: empty mount points for our own modules, the set-up form, and the named API."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from workbench.errors import ConfigError, KnobError
from workbench.run.workbench import Workbench
from workbench.views.runs import page_runs
from workbench.web.setup_form import build_setup_form

_MAIN = "/wb/static/main.js"


def build_page(workbench: Workbench) -> gr.Blocks:
    """Return the page on `workbench`: bar and run row on top, two columns of the Live view, curves, set-up form."""
    with gr.Blocks(title="GRPO workbench", fill_width=True, analytics_enabled=False) as page:
        _island("top")
        with gr.Row(elem_id="wb-live"):
            _island("left")
            _island("right")
        _island("curves")
        with gr.Column(elem_id="wb-setup"):
            build_setup_form(page, workbench)
        _name_the_api(workbench)
    return page


def _island(name: str) -> gr.HTML:
    """Return an empty element that the page's module of that name fills; no model text ever passes through Gradio."""
    return gr.HTML(
        html_template="<div></div>",
        js_on_load=f"import('{_MAIN}').then((page) => page.mount('{name}', element));",
        apply_default_css=False,
        padding=False,
        elem_id=f"wb-{name}",
        elem_classes="wb-island",
    )


def _name_the_api(workbench: Workbench) -> None:
    """Give every command a named endpoint, for scripts and for gradio_client."""

    def start(preset: str = "", settings: dict[str, Any] | None = None, knobs: dict[str, Any] | None = None) -> str:
        return _told(lambda: workbench.start(preset or None, settings, knobs), workbench)

    def set_knobs(knobs: dict[str, Any]) -> str:
        return _told(lambda: workbench.set_knobs(knobs), workbench)

    def open_run(run: str) -> str:
        return _told(lambda: workbench.open(run), workbench)

    def runs() -> dict[str, Any]:
        return page_runs(workbench)

    gr.api(start, api_name="start")
    gr.api(set_knobs, api_name="set_knobs")
    gr.api(runs, api_name="runs")
    gr.api(open_run, api_name="open")
    for name in ("pause", "resume", "step", "stop", "restart"):
        gr.api(_command(getattr(workbench, name), workbench), api_name=name)


def _command(action: Callable[[], None], workbench: Workbench) -> Callable[[], str]:
    def command() -> str:
        return _told(action, workbench)

    return command


def _told(action: Callable[[], None], workbench: Workbench) -> str:
    """Run `action` and return the state it led to; tell a refusal as Gradio tells errors."""
    try:
        action()
    except (ConfigError, KnobError) as error:
        raise gr.Error(str(error)) from error
    return workbench.state
