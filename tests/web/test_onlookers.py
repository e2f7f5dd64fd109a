from dataclasses import replace

import pytest

from tests.run.records import make_record
from workbench.run.workbench import Workbench
from workbench.web.onlookers import BUSY_SHARE, FREE_SHARE, GONE_S, Onlookers


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def training(workbench: Workbench, monkeypatch) -> Workbench:
    monkeypatch.setattr(Workbench, "state", "running")
    return workbench


def test_a_page_may_draw_freely_while_nothing_is_trained(workbench, clock):
    assert Onlookers(workbench, clock).share("here", "a") == FREE_SHARE


def test_while_a_run_needs_the_cores_a_page_draws_little_and_on_a_gpu_it_does_not_matter(training, clock):
    onlookers = Onlookers(training, clock)
    assert onlookers.share("here", "a") == BUSY_SHARE
    training.store.append(replace(make_record(4), device="cuda:0"))
    assert onlookers.share("here", "a") == FREE_SHARE


def test_the_pages_of_one_machine_share_and_those_of_another_do_not(training, clock):
    onlookers = Onlookers(training, clock)
    shares = [onlookers.share(*page) for page in (("here", "a"), ("here", "b"), ("here", "a"), ("there", "a"))]
    assert shares == [BUSY_SHARE, BUSY_SHARE / 2, BUSY_SHARE / 2, BUSY_SHARE]


def test_a_program_that_asks_is_no_page(training, clock):
    onlookers = Onlookers(training, clock)
    assert onlookers.share("here", "") == BUSY_SHARE
    assert onlookers.share("here", "a") == BUSY_SHARE


def test_a_page_that_asks_no_more_leaves_its_part_to_the_others(training, clock):
    onlookers = Onlookers(training, clock)
    onlookers.share("here", "a")
    clock.now = GONE_S / 2
    assert onlookers.share("here", "b") == BUSY_SHARE / 2
    clock.now = GONE_S
    assert onlookers.share("here", "b") == BUSY_SHARE


def test_every_answer_says_what_the_page_may_spend(client):
    news = client.get("/wb/delta?news=-1&page=a")
    assert news.status_code == 200 and float(news.headers["Wb-Share"]) == FREE_SHARE
    nothing_new = client.get("/wb/delta", params={"news": news.json()["news"], "page": "b"})
    assert nothing_new.status_code == 204 and float(nothing_new.headers["Wb-Share"]) == FREE_SHARE / 2
