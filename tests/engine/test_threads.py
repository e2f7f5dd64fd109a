import threading

import pytest
import torch

from workbench.engine import threads, trainer
from workbench.engine.parallel import in_parallel
from workbench.engine.policy import load_policy
from workbench.engine.threads import count_useful_threads, use_more_threads, use_threads
from workbench.run.knobs import KnobBoard, Knobs
from workbench.run.record import StepRecord


@pytest.fixture(autouse=True)
def restored_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_parts_come_back_in_their_order_and_keep_the_callers_gradient_mode():
    weight = torch.ones((), requires_grad=True)
    assert in_parallel(lambda part: part * 2, [3, 1, 2], 2) == [6, 2, 4]
    with torch.no_grad():
        assert not any(made.requires_grad for made in in_parallel(lambda part: weight * part, [1.0, 2.0], 2))
    assert all(made.requires_grad for made in in_parallel(lambda part: weight * part, [1.0, 2.0], 2))


def test_two_parts_are_worked_on_at_the_same_time():
    both_are_there = threading.Barrier(2, timeout=10)
    in_parallel(lambda part: both_are_there.wait(), [0, 1], 2)  # one after the other would wait for ever


def test_an_error_of_a_part_is_raised():
    with pytest.raises(ZeroDivisionError):
        in_parallel(lambda part: 1 / part, [1, 0], 2)


def test_a_tiny_lean_model_shares_parts_out_and_gives_an_operation_one_thread(make_config):
    config = make_config(num_threads=3)
    policy = load_policy(config)
    use_threads(config, policy)
    assert policy.num_workers == 3 and torch.get_num_threads() == 1


@pytest.mark.parametrize("plain_paths", [("lean_model",), ("parallel_parts",), ("all",)])
def test_where_parts_may_not_be_shared_out_there_is_one_at_a_time(make_config, plain_paths):
    config = make_config(num_threads=3, plain_paths=plain_paths)
    policy = load_policy(config)
    use_threads(config, policy)
    assert policy.num_workers == 1 and torch.get_num_threads() == 1


def test_a_larger_model_leaves_the_threads_to_torch(make_config):
    config = make_config(num_threads=2)
    policy = load_policy(config)
    policy.is_tiny = False
    use_threads(config, policy)
    assert policy.num_workers == 1 and torch.get_num_threads() == 2


def test_the_self_test_never_asks_for_more_threads_than_there_are():
    assert count_useful_threads(1) == 1
    assert 1 <= count_useful_threads(2) <= 2


@pytest.mark.parametrize(
    ("seconds", "best"),
    [
        ({1: 1.0, 2: 0.5, 4: 0.3, 8: 0.2}, 8),
        ({1: 1.0, 2: 1.0, 4: 1.04, 8: 1.1}, 4),
        ({1: 1.0, 2: 1.2, 4: 0.5}, 1),
    ],
)
def test_another_thread_is_taken_unless_the_work_takes_longer_with_it(monkeypatch, seconds, best):
    """What gains nothing in the moment of the test, with a core that is busy, gains in the rest of the run."""
    monkeypatch.setattr(threads, "_seconds", seconds.__getitem__)
    assert count_useful_threads(max(seconds)) == best


def test_a_run_that_began_while_the_cores_were_busy_takes_them_when_they_are_free(make_config, monkeypatch):
    """At steps 2, 4, 8 …; never fewer than before, and never where the settings say how many."""
    config = make_config()
    policy = load_policy(config)
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 4)
    for useful, expected in ((1, 1), (4, 4), (2, 4)):
        monkeypatch.setattr(threads, "count_useful_threads", lambda limit, useful=useful: useful)
        use_more_threads(config, policy)
        assert policy.num_workers == expected
    policy.num_workers = 2
    for other in (make_config(num_threads=2), make_config(plain_paths=("parallel_parts",))):
        fixed = load_policy(other)
        fixed.num_workers = 2
        monkeypatch.setattr(threads, "count_useful_threads", lambda limit: 4)
        use_more_threads(other, fixed)
        assert fixed.num_workers == 2


def test_the_machine_is_put_to_the_test_again_at_powers_of_two(make_config, monkeypatch):
    tested = []
    monkeypatch.setattr(trainer, "use_more_threads", lambda config, policy: tested.append(len(records)))
    records = []
    for event in trainer.train(make_config(max_steps=9), KnobBoard(Knobs(num_generations=2, max_completion_length=3))):
        if isinstance(event, StepRecord):
            records.append(event)
    assert [done + 1 for done in tested] == [2, 4, 8]
