import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace

import orjson
import pytest

from tests.run.records import make_record
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs
from workbench.run.news import News
from workbench.run.rows import WHOLE_ROWS
from workbench.run.store import RunStore
from workbench.run.workbench import Workbench
from workbench.web import replies as module
from workbench.web.replies import Question, Replies, told

NUM_STEPS = 3 * WHOLE_ROWS


@pytest.fixture
def bench() -> Workbench:
    store, record = RunStore(RunConfig(), Knobs(), title="t", source="tape"), make_record(1)
    for step in range(1, NUM_STEPS + 1):
        store.append(replace(record, step=step))
    return Workbench(store, _never, runs_folder=None, preset="addition")


def _never(*_) -> Iterator:
    raise AssertionError("nothing is trained here")


def ask(replies: Replies, **of) -> bytes | None:
    given = {"run": None, "since": 0, "events": 0, "news": -1, "rested": False, "progress": False, "group": None} | of
    return asyncio.run(replies.delta(Question(**given)))


def test_a_page_gets_the_newest_rows_and_the_number_of_the_first_of_them(bench):
    delta = orjson.loads(ask(Replies(bench)) or b"")
    assert delta["next"] == NUM_STEPS and delta["first"] == bench.store.num_folded > 0 and delta["first_step"] == 1
    assert [row["step"] for row in delta["rows"]] == list(range(delta["first"] + 1, NUM_STEPS + 1))
    assert "memory" not in delta["rows"][0] and "record" not in delta


def test_the_answer_is_made_once_for_all_pages_that_ask_the_same(bench):
    replies = Replies(bench)
    assert ask(replies) is ask(replies)
    bench.news.tell()
    assert orjson.loads(ask(replies) or b"")["news"] == bench.news.number


def test_the_group_that_a_page_looks_at_comes_with_the_step(bench):
    replies, run = Replies(bench), bench.store.id
    for group, shown in ((1, 1), (-1, 0)):
        delta = orjson.loads(ask(replies, run=run, since=NUM_STEPS - 1, group=group) or b"")
        assert len(delta["rows"]) == 1 and delta["record"]["step"] == NUM_STEPS and delta["record"]["group"] == shown
    assert "record" not in orjson.loads(ask(replies, run=run, since=NUM_STEPS - 1, group=9) or b"")


def test_where_nothing_is_new_nothing_is_sent(bench, monkeypatch):
    monkeypatch.setattr(module, "HOLD_S", 0.01)
    assert ask(Replies(bench), news=bench.news.number) is None


def test_a_page_that_shows_a_run_of_the_server_before_this_one_is_told_of_its_own(bench, monkeypatch):
    monkeypatch.setattr(module, "HOLD_S", 60.0)
    delta = orjson.loads(ask(Replies(bench), run="of long ago", since=7, news=bench.news.number) or b"")
    assert delta["run"] == bench.store.id and delta["next"] == NUM_STEPS


def test_whoever_waits_is_woken_by_news_from_another_thread_and_by_none_before():
    async def wait() -> int:
        news = News()
        threading.Timer(0.05, news.tell).start()
        await told(news, 0, timeout_s=30.0)
        return news.number

    assert asyncio.run(asyncio.wait_for(wait(), 10)) == 1


def test_news_that_were_told_before_the_question_are_not_waited_for():
    async def wait() -> None:
        news = News()
        news.tell()
        await told(news, 0, timeout_s=30.0)

    asyncio.run(asyncio.wait_for(wait(), 10))


def test_a_group_says_which_mistake_its_run_has():
    for bug, said in (("none", None), ("batch_mean_baseline", "batch_mean_baseline")):
        store = RunStore(RunConfig(bug=bug), Knobs(), title="t", source="live")
        store.append(make_record(1))
        replies = Replies(Workbench(store, _never, runs_folder=None, preset="addition"))
        assert orjson.loads(replies.group(store, 1, 0))["bug"] == said
