import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.engine.learners import make_learner, see_step
from workbench.engine import limits
from workbench.engine.limits import (
    ModelCost,
    Reading,
    Yardstick,
    decode_seconds,
    forward_flops,
    step_limits,
    update_flops,
)
from workbench.engine.machine import Machine, measure_machine
from workbench.engine.policy import load_policy
from workbench.engine.speed import limits_of
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs

COST = ModelCost(trunk=10, head=5, adapter=2, folding=20, attention=3, weight_bytes=30, cache_bytes=10)
PROMPTS, COMPLETIONS = torch.tensor([2, 3]), torch.tensor([1, 3, 2, 4])  # two groups of two
MACHINE = Machine(flops_per_second=10.0, bytes_per_second=10.0)


def test_a_prompt_is_read_once_a_group_and_a_last_token_never():
    # read: prompts 2 + 3, completions 0 + 2 + 1 + 3; pairs: 3 + 6 in the prompts, 0 + (2·2 + 3) + (3 + 1) + (3·3 + 6)
    assert Reading.of(PROMPTS, COMPLETIONS) == Reading(tokens=11, predicted=10, pairs=35)
    assert Reading.of(torch.tensor([4]), torch.tensor([0])) == Reading(4, 0, 10)


def test_a_pass_costs_what_is_counted_by_hand():
    reading = Reading(tokens=11, predicted=10, pairs=35)
    products = 2 * 10 * 11 + 2 * 5 * 10 + 3 * 35
    assert forward_flops(COST, reading, has_adapter=False) == products == 425
    assert forward_flops(COST, reading) == 425 + 40, "folding, 2·20, is cheaper than 2·2 for each of 11 tokens"
    assert forward_flops(COST, Reading(3, 0, 0)) == 60 + 12, "and dearer for 3 tokens"
    assert update_flops(COST, reading) == 465 + (220 + 100 + 2 * 105) + 4 * 2 * 11


def test_a_token_step_takes_as_long_as_the_slower_of_arithmetic_and_traffic():
    # prefill 147 + 40 of the adapter; then cached 11, 9, 6 tokens for 3, 2, 1 rows: 30 + 10 bytes a cached token
    assert decode_seconds(COST, PROMPTS, COMPLETIONS, MACHINE) == pytest.approx(18.7 + 14.0 + 12.0 + 9.0)
    quick_memory = Machine(10.0, 1e9)  # 30 a row and 3 a cached token
    assert decode_seconds(COST, PROMPTS, COMPLETIONS, quick_memory) == pytest.approx(18.7 + 12.3 + 8.7 + 4.8)


def test_the_stages_of_a_step_have_the_passes_that_the_knobs_ask_for():
    yardstick = Yardstick(COST, MACHINE)
    limits = step_limits(yardstick, PROMPTS, COMPLETIONS, num_updates=4, num_reference_passes=1)
    assert limits == pytest.approx({"sample": 53.7, "score": 42.5, "update": 4 * 108.3})
    given = step_limits(yardstick, PROMPTS, COMPLETIONS, num_updates=1, num_reference_passes=0, is_sampled=False)
    assert given == pytest.approx({"sample": 46.5, "update": 108.3}), "reading what others wrote; nothing scored"


@pytest.mark.parametrize("is_trained", [False, True])
def test_the_count_is_that_of_pytorchs_own_counter(make_policy, any_folder, is_trained):
    model = make_policy(any_folder).model
    model.set_attn_implementation("eager")  # computes all pairs of tokens, those behind the mask too
    if is_trained:
        model.enable_input_require_grads()  # or the first layer's way back to the embedding is left out
    num_tokens, num_predicted = 20, 12
    ids = torch.randint(5, 20, (1, num_tokens))
    with FlopCounterMode(display=False) as counter:
        logits = model(input_ids=ids, logits_to_keep=num_predicted, use_cache=False).logits
        if is_trained:
            logits.sum().backward()
    cost, reading = ModelCost.of(model), Reading(num_tokens, num_predicted, num_tokens**2)
    beside = 2 * cost.adapter * num_tokens - min(2 * cost.adapter * num_tokens, 2 * cost.folding)
    counted = forward_flops(cost, reading) + beside
    if is_trained:
        # the adapter beside its weights goes back to the input as well
        counted = update_flops(cost, reading) + beside
    assert counter.get_total_flops() == pytest.approx(counted, rel=0.03)


def test_the_machine_is_measured_in_the_precision_of_the_run_and_both_rates_are_possible():
    for dtype in (torch.float32, torch.bfloat16):
        machine = measure_machine(torch.device("cpu"), dtype, 10_000, 1)
        assert 1e8 < machine.flops_per_second < 1e14 and 1e8 < machine.bytes_per_second < 1e13


def test_a_steps_limits_come_from_its_own_lengths(make_config, monkeypatch):
    learner = make_learner(make_config())
    data = see_step(learner, Knobs(num_generations=4, max_completion_length=6, num_iterations=2), monkeypatch)
    assert limits_of(data, learner) == {}, "without a yardstick there is nothing to say"
    learner.yardstick = Yardstick(ModelCost.of(learner.policy.model), MACHINE)
    prompts, lengths = data.samples.prompts.mask.sum(1), data.samples.rollout.lengths
    wanted = step_limits(learner.yardstick, prompts, lengths, num_updates=2, num_reference_passes=1)
    assert limits_of(data, learner) == pytest.approx(wanted)


def test_a_yardstick_measured_again_keeps_the_better_of_each_rate(monkeypatch):
    """Of a machine whose cores were busy at one time and whose memory was at the other."""
    policy = load_policy(RunConfig(device="cpu"))
    found = iter([Machine(5.0, 70.0), Machine(6.0, 60.0)])
    monkeypatch.setattr(limits, "measure_machine", lambda *arguments: next(found))
    yardstick = Yardstick.of(policy)
    assert yardstick.again(policy) == Yardstick(yardstick.cost, Machine(6.0, 70.0))
