"""The page at /, in two halves: ours is sent at once and draws the first screen, Gradio's follows when it is there."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.types import Scope

from workbench.web.later import Later

HEAD_START = 1.0  # seconds
_BEFORE_ALL = "frames.js"  # what must have run before Gradio's scripts do
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
            f'<script src="/wb/static/{_BEFORE_ALL}"></script></head>'
            f'<body style="{_BODY_STYLE}"><link rel="stylesheet" href="/wb/static/style.css">',
            "<script type=\"module\" async>import { open } from '/wb/static/main.js'; open();</script>",
        ]
    )


async def page_halves(first: str, gradio: Later, scope: Scope) -> AsyncIterator[bytes]:
    """Yield our half of the page, then what Gradio answers to the request `scope`, from within its head on.

    Gradio's scripts keep the browser busy for a second or two, so ours get a head start.
    """
    yield first.encode()
    answer, _ = await asyncio.gather(gradio.body(scope), asyncio.sleep(HEAD_START))
    yield answer.partition(b"<head>")[2]
