"""The page's own routes under /wb: small deltas to poll, immutable groups to fetch, commands, and static files."""

import gzip
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import orjson
import plotly
from fastapi import APIRouter, Request
from fastapi.responses import Response
from plotly.graph_objects import Figure
from starlette.concurrency import run_in_threadpool
from starlette.staticfiles import StaticFiles

from workbench.errors import ConfigError, KnobError
from workbench.run.workbench import Workbench
from workbench.views.curves import curves_figure
from workbench.views.delta import page_delta
from workbench.views.group import page_group
from workbench.views.memory import memory_figure
from workbench.views.spec import page_spec

STATIC = Path(__file__).parent / "static"
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_NEVER = {"Cache-Control": "no-store"}


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(value), status, headers or _NEVER, "application/json")


def make_router(workbench: Workbench, version: str) -> APIRouter:
    """Return the routes that show `workbench` and pass commands on to it."""
    router = APIRouter(prefix="/wb")

    @router.get("/spec")
    def spec() -> Response:
        return json_response(page_spec(version))

    @router.get("/delta")
    def delta(run: str | None = None, since: int = 0, events: int = 0) -> Response:
        return json_response(page_delta(workbench, run, max(0, since), max(0, events)))

    @router.get("/group/{run}/{step}")
    def group(run: str, step: int, group: int = 0) -> Response:
        store = workbench.find_store(run)
        if store is None:
            return json_response({"error": f"this server has no run {run!r}"}, 404)
        try:
            return json_response(page_group(run, store.record(step), group, store.config.method), headers=_FOR_EVER)
        except LookupError as error:
            return json_response({"error": str(error.args[0])}, 404)

    @router.get("/figure/{name}")
    def figure(name: str, run: str, theme: str = "light", lang: str = "en") -> Response:
        return _draw(workbench, name, run, theme=theme, lang=lang)

    @router.post("/do/{action}")
    async def do(action: str, request: Request) -> Response:
        if request.headers.get("content-type", "").split(";")[0] != "application/json":
            return json_response({"error": "commands are sent as application/json"}, 415)
        return await _run_command(workbench, action, await request.body())

    @router.get("/plotly.js")
    def plotly_js() -> Response:
        headers = _FOR_EVER | {"Content-Encoding": "gzip"}
        return Response(_plotly_gzip(), 200, headers, "text/javascript")

    return router


class _PageFiles(StaticFiles):
    """Static files that a browser asks about each time, so that an update of the workbench shows at once."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def page_files() -> StaticFiles:
    """Return the page's modules, styles, words and fonts."""
    return _PageFiles(directory=STATIC)


def _draw(workbench: Workbench, name: str, run: str, **style: str) -> Response:
    """Return a figure of a run, or say that there is no such figure or run."""
    store = workbench.find_store(run)
    if store is None:
        return json_response({"error": f"this server has no run {run!r}"}, 404)
    others = workbench.memory_of_others(store)
    figures: dict[str, Callable[..., Figure]] = {
        "curves": partial(curves_figure, store.rows(), store.events(), knobs=store.knobs),
        "memory": partial(memory_figure, store.config.method, store.memory, others),
    }
    if name not in figures:
        return json_response({"error": f"there is no figure {name!r}: there are {', '.join(figures)}"}, 404)
    return Response(figures[name](**style).to_json(), 200, _NEVER, "application/json")


def commands(workbench: Workbench) -> dict[str, Callable[[dict[str, Any]], None]]:
    """Return the commands by name; each takes its arguments as one dictionary."""
    return {
        "start": lambda a: workbench.start(a.get("preset"), a.get("config"), a.get("knobs")),
        "pause": lambda a: workbench.pause(),
        "resume": lambda a: workbench.resume(),
        "step": lambda a: workbench.step(),
        "stop": lambda a: workbench.stop(),
        "restart": lambda a: workbench.restart(),
        "knobs": workbench.set_knobs,
        "tape": lambda a: workbench.show_recording(),
    }


async def _run_command(workbench: Workbench, action: str, body: bytes) -> Response:
    known = commands(workbench)
    if action not in known:
        return json_response({"error": f"unknown command {action!r}: the commands are {', '.join(known)}"}, 404)
    try:
        arguments = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:
        return json_response({"error": "the command's arguments are not valid JSON"}, 400)
    if not isinstance(arguments, dict):
        return json_response({"error": "the command's arguments must be a JSON object"}, 400)
    try:
        await run_in_threadpool(known[action], arguments)
    except (ConfigError, KnobError) as error:
        return json_response({"error": str(error)}, 400)
    return json_response({"ok": True})


@cache
def _plotly_gzip() -> bytes:
    return gzip.compress((Path(plotly.__file__).parent / "package_data" / "plotly.min.js").read_bytes(), 6)
