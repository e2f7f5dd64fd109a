from workbench.engine import trainer
from workbench.run.knobs import KnobBoard, Knobs
from workbench.run.record import Progress
from workbench.run.runner import Runner

KNOBS = Knobs(num_generations=3, max_completion_length=6)


def test_stop_ends_a_step_between_two_tokens_and_every_token_is_such_a_moment(make_config):
    seen, records = [], []

    def engine():
        for event in trainer.train(make_config(), KnobBoard(KNOBS)):
            seen.append(event)
            if isinstance(event, Progress) and event.stage == "sample" and event.done == 3:
                runner.stop()
            yield event

    runner = Runner(engine(), records.append)
    runner.start()
    assert runner.join(60.0) and runner.state == "stopped" and records == []
    assert [event.done for event in seen if event.stage == "sample"] == [0, 1, 2, 3]
