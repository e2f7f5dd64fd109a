"""The page at /, in two halves: ours is sent at once and draws the first screen, Gradio's follows when it is there."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.types import Scope

from workbench.web.later import Later

HEAD_START = 1.0  # seconds
_BEFORE_ALL = "frames.js"  # what must have run before Gradio's scripts do
# a proxy that puts the page below its root: none of the page's own addresses would be found
_AT_THE_ROOT = (
    "if (location.pathname !== '/') { document.documentElement.textContent = 'The workbench must be at the root of an "
    "address: reach it by a tunnel, ssh -L 7860:localhost:7860 HOST. 工作台必须位于地址的根路径：请用上述隧道访问。'; "
    "window.stop(); }"
)
# what Gradio's page says of both: nothing shall jump when it comes
_HTML_STYLE = "margin: 0; padding: 0; min-height: 100%; display: flex; flex-direction: column"
_BODY_STYLE = "width: 100%; margin: 0; padding: 0; display: flex; flex-direction: column; flex-grow: 1"


def first_half(static: Path) -> str:
    """Return the beginning of the page: what to load at once, and the scripts, the last of which draws the islands.

    Gradio's head comes to stand in the body, where browsers take it as well; its style sheets are moved to the head
    (`main.js`). Ours is at the body's beginning, after all of them: of equal rules the later counts.
    """
    scripts = sorted(path.relative_to(static).as_posix() for path in static.rglob("*.js"))
    fonts = sorted(path.relative_to(static).as_posix() for path in static.glob("fonts/*latin*.woff2"))
    return "".join(
        [
            f'<!doctype html><html lang="en" style="{_HTML_STYLE}"><head><meta charset="utf-8">',
            "<title>GRPO workbench</title>",
            '<link rel="preload" as="style" href="/wb/static/style.css">',
            *(f'<link rel="modulepreload" href="/wb/static/{path}">' for path in scripts if path != _BEFORE_ALL),
            *(f'<link rel="preload" as="font" crossorigin href="/wb/static/{path}">' for path in fonts),
            f"<script>{_AT_THE_ROOT}</script>"
            f'<script src="/wb/static/{_BEFORE_ALL}"></script></head>'
            f'<body style="{_BODY_STYLE}"><link rel="stylesheet" href="/wb/static/style.css">',
            "<script type=\"module\" async>import { open } from '/wb/static/main.js'; open();</script>",
        ]
    )


async def page_halves(first: str, gradio: Later, scope: Scope) -> AsyncIterator[bytes]:
    """Yield our half of the page, then what Gradio answers to the request `scope`, from within its head on.

    Gradio's scripts keep the browser busy for a second or two, so ours get a head start. Where Gradio cannot be started
    only the set-up form is missing: the page says so in its place.
    """
    yield first.encode()
    try:
        answer, _ = await asyncio.gather(gradio.body(scope), asyncio.sleep(HEAD_START))
    except Exception as error:  # whatever it is that Gradio does not like about this machine
        logging.getLogger("uvicorn.error").error("Gradio could not be started", exc_info=error)
        yield _without_form(f"{type(error).__name__}: {error}").encode()
    else:
        yield answer.partition(b"<head>")[2]


def _without_form(reason: str) -> str:
    told = json.dumps(reason).replace("<", "\\u003c")
    script = f"import {{ tellNoForm }} from '/wb/static/islands.js'; tellNoForm({told});"
    return f'<script type="module">{script}</script></body></html>'
