"""The GPU's way through the engine where there is no GPU: no tensor of one device meets one of the other."""

import numpy as np
import pytest
import torch

from tests.engine.arrays import run_steps
from tests.engine.pretend_card import CARD, is_on_card, pretend_card
from workbench.engine.evaluate import evaluate
from workbench.run.config import RunConfig
from workbench.run.fastpaths import ALL, FAST_PATHS
from workbench.run.knobs import Knobs
from workbench.run.presets import PRESETS, preset_settings

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="a real card is tested in test_cuda.py")


@pytest.fixture
def card():
    with pretend_card() as guard:
        yield guard


def test_tensors_of_two_devices_do_not_meet(card):
    here, there = torch.ones(3), torch.ones(3, device="cuda")
    assert not is_on_card(here) and is_on_card(there) and there.device == CARD and here.device.type == "cpu"
    for mixed in (lambda: here + there, lambda: there[None] @ here[:, None], lambda: torch.stack([here, there])):
        with pytest.raises(RuntimeError, match="same device"):
            mixed()
    with pytest.raises(RuntimeError, match="same device"):
        here[torch.tensor([0], device="cuda")]
    assert there[torch.tensor([0])].device == CARD, "a card takes an index from the CPU"
    assert (there * torch.tensor(2.0)).tolist() == [2, 2, 2], "and a single number"


def test_a_tensor_stays_where_it_was_made_until_it_is_moved(card):
    there = torch.arange(4.0, device=CARD)
    for made in (there[1:], there.view(2, 2).sum(0), torch.zeros_like(there), there.new_zeros(2), there.half()):
        assert made.device == CARD
    assert there.cpu().device.type == there.to("cpu", torch.float64).device.type == "cpu"
    assert torch.ones(2).cuda().device == torch.ones(2).to(there).device == CARD
    assert torch.nn.Linear(2, 2).to(CARD).weight.device == CARD
    with pytest.raises(TypeError, match="numpy"):
        there.numpy()
    with pytest.raises(TypeError, match="numpy"):
        np.asarray(there)
    assert there.cpu().numpy().tolist() == there.tolist() == [0, 1, 2, 3]


def test_gradients_are_on_the_card_too(card):
    weight = torch.ones(3, device="cuda", requires_grad=True)
    (weight * 2).sum().backward()
    (gradient,) = torch.autograd.grad((weight**2).sum(), [weight])
    assert weight.grad is not None and weight.grad.device == gradient.device == CARD


def test_a_generator_belongs_to_one_device(card):
    with pytest.raises(RuntimeError, match="generator"):
        torch.rand(2, generator=torch.Generator(), device="cuda")
    with pytest.raises(RuntimeError, match="generator"):
        torch.rand(2, generator=torch.Generator("cuda"))
    assert torch.rand(2, generator=torch.Generator("cuda"), device="cuda").device == CARD


def test_while_a_graph_is_captured_nothing_is_read(card):
    there = torch.ones(2, device="cuda")
    card.is_capturing = True
    for look in (lambda: there.sum().item(), lambda: bool(there.any()), lambda: there.cpu(), lambda: there.nonzero()):
        with pytest.raises(RuntimeError, match="capturing"):
            look()


def steps_on_card(num_steps, settings, knobs):
    small = {"prompts_per_step": 2, "max_steps": num_steps, "device": "cuda"}
    short = {"num_generations": 4, "max_completion_length": 8}
    records = run_steps(RunConfig.from_mapping(settings | small), Knobs().changed(knobs | short))
    assert [record.device for record in records] == ["cuda"] * num_steps
    return records


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_takes_a_step_on_a_card(card, preset):
    settings, knobs = preset_settings(preset)
    quick = {"reward_model_steps": 2} if settings.get("learn_reward") else {}
    (record,) = steps_on_card(1, settings | quick, knobs)
    assert record.metrics["loss"] is not None


@pytest.mark.parametrize("path", [ALL, *FAST_PATHS])
def test_every_fast_path_may_be_left_out_on_a_card(card, path):
    for record in steps_on_card(2, {"plain_paths": [path]}, {"beta": 0.04, "num_iterations": 2}):
        assert path not in record.fast_paths and (path == ALL) == (not record.fast_paths)


@pytest.mark.parametrize(
    ("settings", "knobs"),
    [
        ({"dtype": "float32"}, {"beta": 0.04}),
        ({"sync_ref_model": True, "ref_model_sync_steps": 1}, {"beta": 0.04}),
        ({"score_reference": False, "micro_batch_size": 3}, {}),
        ({"reward_weights": (0.0, 0.0, 0.0)}, {"max_num_gen_batches": 3}),
        ({}, {"top_k": 5, "top_p": 0.8, "temperature": 0.7}),
        ({}, {"beta": 0.04, "kl_in": "reward", "kl_estimator": "exact"}),
        ({"learn_reward": True, "steps_per_round": 1, "reward_model_steps": 2}, {}),
    ],
    ids=str,
)
def test_what_else_a_run_may_do_it_does_on_a_card(card, settings, knobs):
    steps_on_card(2, settings, knobs)


def test_a_policy_is_evaluated_on_a_card(card):
    assert 0 <= evaluate(RunConfig(device="cuda"), Knobs(num_generations=2), None, num_prompts=2).right <= 1
