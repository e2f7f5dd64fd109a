import threading
import time
from dataclasses import fields, replace

import pytest
import torch
from peft import PeftModel
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM

from tests.engine.arrays import completions_of, run_steps
from tests.run.records import is_same
from workbench.engine import trainer
from workbench.engine.prompts import encode_prompts
from workbench.errors import ConfigError
from workbench.run.knobs import KnobBoard, Knobs
from workbench.run.record import Finished, Progress, StepRecord

KNOBS = Knobs(num_generations=3, max_completion_length=6, learning_rate=1e-2, num_iterations=2)


def brevity(prompts, completions, completion_ids, **columns):
    """A reward that any policy can learn: end soon."""
    return [-float(len(ids)) for ids in completion_ids]


def without_times(record: StepRecord) -> StepRecord:
    metrics = {name: value for name, value in record.metrics.items() if name != "step_time"}
    return replace(record, metrics=metrics, timings={}, limits={}, fast_paths=())


def test_the_same_seed_gives_the_same_run_bit_for_bit_and_another_does_not(make_config):
    first, again = (list(map(without_times, run_steps(make_config(seed=3), KNOBS))) for _ in range(2))
    assert len(first) == 3 and all(map(is_same, first, again))
    [other] = run_steps(make_config(seed=4), KNOBS, 1)
    assert not is_same(without_times(other), first[0])


def test_waiting_between_any_two_events_and_other_randomness_change_nothing_and_are_not_counted_as_time(make_config):
    expected = list(map(without_times, run_steps(make_config(), KNOBS, 2)))
    engine, records, working_s, waiting_s = trainer.train(make_config(), KnobBoard(KNOBS)), [], 0.0, 0.0
    while len(records) < 2:
        began = time.perf_counter()
        event = next(engine)
        working_s += time.perf_counter() - began
        if isinstance(event, StepRecord):
            records.append(event)
            assert event.metrics["step_time"] == pytest.approx(sum(event.timings.values()))
            assert event.metrics["step_time"] <= working_s + 0.005 < working_s + waiting_s
            working_s = waiting_s = 0.0
        else:
            torch.rand(3)
            time.sleep(0.01)
            waiting_s += 0.01
    engine.close()
    assert all(map(is_same, map(without_times, records), expected))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"plain_paths": ("all",)},
        {"method": "ppo"},
        {"method": "dpo"},
        {"learn_reward": True},
        {"sync_ref_model": True, "ref_model_sync_steps": 1},
        {"dtype": "bfloat16"},
    ],
)
def test_a_record_made_when_two_more_steps_are_over_is_the_same(make_config, tmp_path, settings):
    knobs = KNOBS.changed({"beta": 0.1})
    config = make_config(max_steps=4, **settings)
    at_once = run_steps(config, knobs, adapter_folder=tmp_path / "at_once", reward_funcs=[brevity])
    folder = tmp_path / "beside"
    options = {"adapter_folder": folder, "reward_funcs": [brevity], "records_beside": True}
    waiting, late, adapters = [], [], []

    def make(finished: Finished) -> None:
        thread = threading.Thread(target=lambda: late.append(finished.record()))
        thread.start()
        thread.join()
        adapters.append(load_file(folder / SAFETENSORS_WEIGHTS_NAME))

    for event in trainer.train(config, KnobBoard(knobs), **options):
        if isinstance(event, Finished):
            waiting.append(event)
            if len(waiting) > 2:
                make(waiting.pop(0))
    for finished in waiting:
        make(finished)
    assert [record.step for record in late] == [1, 2, 3, 4]
    assert all(map(is_same, map(without_times, late), map(without_times, at_once)))
    assert all(record.metrics["step_time"] == sum(record.timings.values()) > 0 for record in late)
    last = load_file(tmp_path / "at_once" / SAFETENSORS_WEIGHTS_NAME)
    assert all((adapters[3][name] == last[name]).all() for name in last), "each record's adapter is that of its step"
    assert any((adapters[0][name] != last[name]).any() for name in last)


def test_knobs_are_taken_once_a_step_and_a_change_is_used_by_exactly_the_next_step(make_config):
    board, used = KnobBoard(KNOBS), []
    for event in trainer.train(make_config(max_steps=4), board):
        if isinstance(event, StepRecord):
            used.append(event)
        elif event.step == 2 and event.stage == "sample" and event.done == 1:
            board.propose(beta=0.1, num_generations=5, temperature=0.5, max_completion_length=3)
    assert [record.knobs.beta for record in used] == [0.0, 0.0, 0.1, 0.1]
    assert [{len(group.completions) for group in record.groups} for record in used] == [{3}, {3}, {5}, {5}]
    assert all(len(c.token_ids) <= 3 for c in completions_of(used[2]))
    assert any(len(c.token_ids) > 3 for c in completions_of(used[1]))
    assert all(c.knobs is record.knobs for record in used for c in completions_of(record))


@pytest.mark.parametrize(
    "changes",
    [
        {"loss_type": "dapo"},
        {"scale_rewards": "none"},
        {"importance_sampling_level": "sequence"},
        {"learning_rate": 0.0},
        {"num_iterations": 4},
        {"epsilon": 0.0, "delta": 1.0},
        {"beta": 0.5, "kl_estimator": "k1"},
    ],
)
def test_every_knob_of_the_update_can_be_turned_in_the_middle(make_config, changes):
    board, records = KnobBoard(KNOBS), []
    for event in trainer.train(make_config(), board, reward_funcs=[varied]):
        if isinstance(event, StepRecord):
            records.append(event)
            board.propose(**changes)
    plain = run_steps(make_config(), KNOBS, reward_funcs=[varied])
    assert is_same(without_times(records[0]), without_times(plain[0]))
    assert records[1].knobs == KNOBS.changed(changes)
    same_samples = [c.text for c in completions_of(records[1])] == [c.text for c in completions_of(plain[1])]
    assert same_samples, "the policy that samples step 2 is the one that step 1 made"
    assert not is_same(without_times(records[1]), without_times(plain[1]))


def varied(prompts, completions, completion_ids, **columns):
    return [float(sum(ids) % 7) for ids in completion_ids]


def test_training_raises_the_reward_it_is_given(make_config):
    knobs = Knobs(num_generations=8, max_completion_length=12, learning_rate=1e-2)
    records = run_steps(make_config(max_steps=25, prompts_per_step=4), knobs, reward_funcs=[brevity])
    assert records[0].metrics["reward"] < -3
    assert records[-1].metrics["reward"] > -1.5


def test_nothing_is_loaded_before_the_first_event_and_the_run_ends_after_its_last_step(make_config, monkeypatch):
    loaded = []
    load = trainer.load_policy
    monkeypatch.setattr(trainer, "load_policy", lambda config: loaded.append(1) or load(config))
    engine = trainer.train(make_config(max_steps=2), KnobBoard(KNOBS))
    assert next(engine) == Progress(0, "load") and not loaded
    events = list(engine)
    assert len(loaded) == 1
    assert [event.step for event in events if isinstance(event, StepRecord)] == [1, 2]


def test_tokens_are_counted_over_the_run(make_config):
    records = run_steps(make_config(), KNOBS)
    in_step = [
        sum(len(g.prompt) * 3 + sum(len(c.token_ids) for c in g.completions) for g in record.groups)
        for record in records
    ]
    assert [record.metrics["num_tokens"] for record in records] == [sum(in_step[: i + 1]) for i in range(3)]


def test_the_saved_adapter_is_the_policy_after_the_step(make_config, llama_folder, tmp_path, monkeypatch):
    policies = []
    load = trainer.load_policy

    def watched(config):
        policies.append(load(config))
        return policies[-1]

    monkeypatch.setattr(trainer, "load_policy", watched)
    config = make_config(save_steps=2, max_steps=3)
    saved = []
    for event in trainer.train(config, KnobBoard(KNOBS), reward_funcs=[varied], adapter_folder=tmp_path / "adapter"):
        if isinstance(event, StepRecord):
            saved.append((tmp_path / "adapter" / "adapter_model.safetensors").exists())
    assert saved == [False, True, True], "every second step and the last"
    policy = policies[0]
    base = AutoModelForCausalLM.from_pretrained(llama_folder)
    loaded = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    prompts = encode_prompts(policy, ["12+34=?"])
    with torch.no_grad():
        ours = policy.logits(prompts.ids, None, prompts.positions, num_last=1)
        torch.testing.assert_close(ours, loaded(prompts.ids).logits[:, -1:], atol=1e-5, rtol=1e-5)
        with policy.reference():
            reference = policy.logits(prompts.ids, None, prompts.positions, num_last=1)
    assert (ours - reference).abs().max() > 0.01


def test_a_run_can_be_closed_at_any_event_and_closes_its_rewards_loop(make_config):
    async def patient(prompts, **others):
        return [0.0] * len(prompts)

    num_events = len(list(trainer.train(make_config(max_steps=1), KnobBoard(KNOBS))))
    for stop_after in range(1, num_events + 1):
        engine = trainer.train(make_config(max_steps=1), KnobBoard(KNOBS), reward_funcs=[patient])
        for _ in range(stop_after):
            next(engine)
        engine.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "async-rewards"]


def test_a_run_gives_torchs_threads_back_when_it_is_over(make_config, monkeypatch):
    now = [6]
    monkeypatch.setattr(torch, "get_num_threads", lambda: now[0])
    monkeypatch.setattr(torch, "set_num_threads", lambda number: now.__setitem__(0, number))
    events = trainer.train(make_config(max_steps=1), KnobBoard(Knobs(num_generations=2, max_completion_length=2)))
    during = {now[0] for _ in events}
    assert 1 in during and now == [6]


def test_a_dataset_of_the_users_gives_the_prompts_in_an_order_that_the_seed_decides(make_config, tmp_path):
    dataset = tmp_path / "prompts.csv"
    dataset.write_text("question,target\n" + "".join(f"{i}+1=?,{i + 1}\n" for i in range(6)))
    config = make_config(dataset=str(dataset), prompt_column="question", prompts_per_step=2)
    prompts = [group.prompt for record in run_steps(config, KNOBS) for group in record.groups]
    assert sorted(prompts) == sorted(f"{i}+1=?" for i in range(6)), "each once before any comes again"
    again = [group.prompt for record in run_steps(config, KNOBS) for group in record.groups]
    assert again == prompts
    assert {group.target for group in run_steps(config, KNOBS, 1)[0].groups} <= {str(i) for i in range(1, 7)}


@pytest.mark.parametrize(
    "settings",
    [{"model": "/no/such/folder"}, {"reward_funcs": ("nonsense",)}, {"dataset": "nowhere.jsonl"}, {"task": "chess"}],
)
def test_what_cannot_be_used_is_told_in_a_sentence(make_config, settings):
    with pytest.raises(ConfigError):
        run_steps(make_config(**settings), KNOBS, 1)


def test_a_record_has_a_time_for_every_stage_of_work(make_config):
    [record] = run_steps(make_config(), KNOBS, 1)
    assert set(record.timings) == {"sample", "reward", "score", "update", "record"}
    assert all(seconds >= 0 for seconds in record.timings.values())
    assert {f.name for f in fields(StepRecord)} >= {"timings", "device"}
