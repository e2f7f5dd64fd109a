"""An application that is made while the server answers: who asks for it waits, and it is started and stopped."""

import asyncio
import sys
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI

from workbench.web.later import Later

REQUEST = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}


def test_it_is_started_before_it_answers_and_stopped_at_the_end():
    events = []

    @asynccontextmanager
    async def lifespan(_: FastAPI):
        events.append("started")
        yield
        events.append("stopped")

    def make() -> FastAPI:
        events.append("made")
        app = FastAPI(lifespan=lifespan)
        app.get("/")(lambda: "answer")
        return app

    async def asked() -> bytes:
        later = Later(make)
        async with later.running():
            answers = await asyncio.gather(later.body(REQUEST), later.body(REQUEST))
            events.append("answered")
        assert answers[0] == answers[1]
        return answers[0]

    assert asyncio.run(asked()) == b'"answer"'
    assert events == ["made", "started", "answered", "stopped"]


@asynccontextmanager
async def broken(_: FastAPI):
    raise ZeroDivisionError("no application")
    yield


def raising() -> FastAPI:
    raise ZeroDivisionError("no application")


@pytest.mark.parametrize("make", [raising, lambda: FastAPI(lifespan=broken)])
def test_why_it_cannot_be_made_or_started_is_told_to_everyone_who_asks(make):
    async def asked() -> None:
        later = Later(make)
        async with later.running():
            for _ in range(2):
                with pytest.raises(ZeroDivisionError, match="no application"):
                    await asyncio.wait_for(later.body(REQUEST), 10)

    asyncio.run(asked())


def test_who_gives_up_waiting_takes_it_from_nobody():
    turns = []

    def make() -> FastAPI:
        turns.append(sys.getswitchinterval())
        app = FastAPI()
        app.get("/")(lambda: "answer")
        return app

    async def asked() -> bytes:
        later = Later(make)
        async with later.running():
            impatient = asyncio.create_task(later.body(REQUEST))
            await asyncio.sleep(0)
            impatient.cancel()
            return await later.body(REQUEST)

    before = sys.getswitchinterval()
    assert asyncio.run(asked()) == b'"answer"'
    assert turns[0] < before == sys.getswitchinterval(), "the maker takes short turns"
