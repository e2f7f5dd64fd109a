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
from workbench.run.rows import shown
from workbench.run.store import RunStore
from workbench.run.workbench import Workbench
from workbench.views.curves import COLUMNS, curves_figure
from workbench.views.delta import page_delta
from workbench.views.memory import memory_figure
from workbench.views.runs import page_runs
from workbench.views.spec import page_spec
from workbench.web.onlookers import Onlookers
from workbench.web.replies import Question, Replies

STATIC = Path(__file__).parent / "static"
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_NEVER = {"Cache-Control": "no-store"}


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(value), status, headers or _NEVER, "application/json")


def make_router(workbench: Workbench, version: str) -> APIRouter:
    """Return the routes that show `workbench` and pass commands on to it."""
    router = APIRouter(prefix="/wb")
    _add_data(router, workbench)

    @router.get("/spec")
    def spec() -> Response:
        return json_response(page_spec(version))

    @router.get("/runs")
    def runs() -> Response:
        return json_response(page_runs(workbench))

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


def _add_data(router: APIRouter, workbench: Workbench) -> None:
    """Add the routes that a page reads a run from."""
    replies, onlookers = Replies(workbench), Onlookers(workbench)

    @router.get("/delta")
    async def delta(
        request: Request,
        run: str | None = None,
        since: int = 0,
        events: int = 0,
        news: int | None = None,
        rested: bool = False,
        progress: bool = False,
        group: int | None = None,
        page: str = "",
    ) -> Response:
        if news is None:
            return json_response(page_delta(workbench, run, max(0, since), max(0, events)))
        answer = await replies.delta(Question(run, max(0, since), max(0, events), news, rested, progress, group))
        machine = request.client.host if request.client is not None else ""
        headers = _NEVER | {"Wb-Share": f"{onlookers.share(machine, page):.6f}"}
        return Response(status_code=204, headers=headers) if answer is None else ready(answer, headers)

    @router.get("/curves/{run}")
    async def curves(run: str, names: str = "") -> Response:
        return _of_run(workbench, run, lambda store: ready(replies.curves(store, tuple(names.split(","))), _NEVER))

    @router.get("/row/{run}/{step}")
    def row(run: str, step: int) -> Response:
        return _of_run(workbench, run, lambda store: json_response(shown(store.row(step)), headers=_FOR_EVER))

    @router.get("/group/{run}/{step}")
    def group(run: str, step: int, group: int = 0) -> Response:
        return _of_run(workbench, run, lambda store: ready(replies.group(store, step, group), _FOR_EVER))

    @router.get("/figure/{name}")
    def figure(name: str, run: str, theme: str = "light", lang: str = "en", columns: int = COLUMNS) -> Response:
        return _of_run(workbench, run, lambda store: _draw(workbench, store, name, columns, theme=theme, lang=lang))


def ready(answer: bytes, headers: dict[str, str]) -> Response:
    return Response(answer, 200, headers, "application/json")


def _of_run(workbench: Workbench, run: str, answer: Callable[[RunStore], Response]) -> Response:
    """Return the answer about a run, or say in a sentence what there is not."""
    store = workbench.find_store(run)
    if store is None:
        return json_response({"error": f"this server has no run {run!r}"}, 404)
    try:
        return answer(store)
    except (LookupError, ConfigError) as error:  # there is none, or its file is damaged
        return json_response({"error": str(error.args[0])}, 404)


class _PageFiles(StaticFiles):
    """Static files that a browser asks about each time, so that an update of the workbench shows at once."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def page_files() -> StaticFiles:
    """Return the page's modules, styles, words and fonts."""
    return _PageFiles(directory=STATIC)


def _draw(workbench: Workbench, store: RunStore, name: str, columns: int, **style: str) -> Response:
    """Return a figure of a run; raise LookupError if there is no such figure."""
    others = workbench.memory_of_others(store)
    shape = {"knobs": store.knobs, "columns": min(max(columns, 1), COLUMNS)}
    figures: dict[str, Callable[..., Figure]] = {
        "curves": lambda **style: curves_figure(store.sampled_rows(), store.events(), **shape, **style),
        "memory": partial(memory_figure, store.config.method, store.memory, others),
    }
    if name not in figures:
        raise LookupError(f"there is no figure {name!r}: there are {', '.join(figures)}")
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
        "open": lambda a: workbench.open(a.get("run", "")),
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
