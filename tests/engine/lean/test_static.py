"""The decode step that a GPU replays, run here one operation after the other: a graph holds no other arithmetic."""

from dataclasses import fields, is_dataclass, replace
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.engine.arrays import PROMPTS, adapter_of, finish
from tests.engine.lean.conftest import QWEN3, saved
from tests.engine.learners import make_learner, take_step
from workbench.engine import sampling, speed
from workbench.engine.lean import replayed
from workbench.engine.lean.replayed import LOOK_EVERY, NUM_KEPT, is_replayed, sample_replayed
from workbench.engine.lean.static import StaticStep, StepPlan
from workbench.engine.lean.weights import lean_weights
from workbench.engine.policy import Policy
from workbench.engine.prompts import encode_prompts
from workbench.engine.sampling import completion_room, sample_groups
from workbench.errors import DivergedError
from workbench.run.knobs import Knobs

KNOBS = Knobs(num_generations=4, max_completion_length=20, temperature=0.7)
MANY_ENDS = (1, *range(9, 262, 16))  # so that some rows end early
WAITS = {"_local_scalar_dense", "nonzero", "masked_select", "item", "equal", "_unique2", "is_nonzero"}  # for the device


@pytest.fixture(params=["llama", "qwen2", "qwen3"])
def folder(request, tmp_path, llama_folder, qwen2_folder):
    made = {"llama": lambda: llama_folder, "qwen2": lambda: qwen2_folder}
    made["qwen3"] = lambda: saved(tmp_path, llama_folder, QWEN3)
    return made[request.param]()


def started(policy: Policy, knobs=KNOBS, prompts=PROMPTS, seed=1):
    encoded = encode_prompts(policy, prompts)
    length = completion_room(policy, encoded, knobs)
    generator = torch.Generator().manual_seed(seed)
    return sample_replayed(policy, encoded, knobs, length, step=1, generator=generator)


def sampled_both_ways(policy: Policy, knobs=KNOBS, prompts=PROMPTS, seed=1):
    """Return what the static step samples, and what the ordinary way does."""
    generator = torch.Generator().manual_seed(seed)
    ordinary = finish(sample_groups(policy, encode_prompts(policy, prompts), knobs, step=1, generator=generator))
    return finish(started(policy, knobs, prompts, seed)), ordinary


def assert_same(found, expected):
    assert torch.equal(found.token_ids, expected.token_ids) and torch.equal(found.mask, expected.mask)
    assert torch.equal(found.is_truncated, expected.is_truncated)
    assert torch.equal(found.top_ids, expected.top_ids)
    for name in ("logps", "entropy", "top_logps"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name), atol=2e-5, rtol=1e-5)


def move_adapter(policy: Policy) -> None:
    noise = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in policy.trainable:
            weight += 0.1 * torch.randn(weight.shape, generator=noise)


@pytest.mark.parametrize(
    "knobs",
    [KNOBS, KNOBS.changed({"top_k": 5}), KNOBS.changed({"top_p": 0.8, "temperature": 1.2})],
    ids=["all tokens", "top_k", "top_p"],
)
@pytest.mark.parametrize("plain", [(), ("merged_rollout",), ("shared_prefill", "row_compaction")], ids=str)
def test_it_samples_and_notes_what_the_ordinary_way_does(make_policy, folder, knobs, plain):
    policy = make_policy(folder, plain_paths=plain)
    found, expected = sampled_both_ways(replace(policy, eos_ids=MANY_ENDS), knobs)
    assert_same(found, expected)
    assert len(set(expected.lengths.tolist())) > 2 and expected.mask.any(0).all()


def test_rows_that_all_end_early_leave_no_empty_places(make_policy, qwen2_folder):
    policy = make_policy(qwen2_folder)
    found, expected = sampled_both_ways(replace(policy, eos_ids=tuple(range(0, 262, 2))))
    assert_same(found, expected)
    assert found.mask.shape[1] < KNOBS.max_completion_length and not found.is_truncated.any()


def test_a_kept_step_samples_with_the_adapter_as_it_is_now(make_policy, folder):
    policy = make_policy(folder)
    before, _ = sampled_both_ways(policy)
    (kept,) = policy.decode_steps.values()
    move_adapter(policy)
    found, expected = sampled_both_ways(policy)
    assert list(policy.decode_steps.values()) == [kept]
    assert_same(found, expected)
    assert not torch.equal(found.token_ids, before.token_ids)


def test_in_bfloat16_too_where_the_adapter_stays_beside_the_weights(make_policy, qwen2_folder):
    policy = make_policy(qwen2_folder, dtype="bfloat16")
    finish(started(policy))
    move_adapter(policy)
    finish(started(policy))
    (kept,) = policy.decode_steps.values()
    fresh = policy.lean_rollout()
    for layer, own in zip(fresh.layers, kept._weights.layers, strict=True):
        assert torch.equal(layer.qkv.weight, own.qkv.weight) and torch.equal(layer.down.bs[0], own.down.bs[0])


def test_below_the_weights_the_adapter_does_what_it_does_beside_them(make_policy, folder):
    policy = make_policy(folder, plain_paths=("merged_rollout",))
    move_adapter(policy)
    beside, below = (lean_weights(policy.model, is_folded=False, has_gradient=grad) for grad in (True, False))
    for layer, other in zip(beside.layers, below.layers, strict=True):
        for name in ("qkv", "out", "gate_up", "down"):
            one, two = getattr(layer, name), getattr(other, name)
            x = torch.randn(5, one.weight.shape[1], generator=torch.Generator().manual_seed(0))
            with torch.no_grad():
                expected, found, plain = one(x), two(x), F.linear(x, one.weight, one.bias)
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
            assert (expected - plain).abs().max() > 1e-2, "the adapter does something"


def test_the_reference_is_sampled_without_the_adapter(make_policy, folder):
    policy = make_policy(folder)
    with_adapter, _ = sampled_both_ways(policy)
    with policy.reference():
        found, expected = sampled_both_ways(policy)
    assert_same(found, expected)
    assert not torch.equal(found.token_ids, with_adapter.token_ids)


def test_prompts_of_another_length_and_fewer_rows_take_the_same_step(make_policy, folder):
    policy = make_policy(folder)
    finish(started(policy))
    (kept,) = policy.decode_steps.values()
    for prompts, knobs in ((("1+2=?", "123+456=?"), KNOBS), (("8=?",), KNOBS.changed({"max_completion_length": 11}))):
        assert_same(*sampled_both_ways(policy, knobs, prompts, seed=5))
        assert list(policy.decode_steps.values()) == [kept]


def test_only_the_steps_used_last_are_kept(make_policy):
    policy = make_policy()
    for temperature in (0.5, 1.0, 0.5, 1.5):
        finish(started(policy, KNOBS.changed({"temperature": temperature, "max_completion_length": 2})))
    assert [plan.temperature for plan, _ in policy.decode_steps] == [0.5, 1.5] and NUM_KEPT == 2


def test_it_can_be_ended_between_two_tokens_and_begun_again(make_policy, folder):
    policy = make_policy(folder)
    run = started(policy, seed=9)
    events = [next(run) for _ in range(5)]
    assert [event.done for event in events] == [1, 2, 3, 4, 5] and {event.total for event in events} == {20}
    run.close()
    assert_same(*sampled_both_ways(policy))


def test_it_stops_soon_after_the_last_row_has_ended(make_policy):
    policy = make_policy()
    ended = replace(policy, eos_ids=tuple(range(262)))
    assert [event.done for event in started(ended)] == list(range(1, LOOK_EVERY + 1))
    assert len(list(started(policy))) == KNOBS.max_completion_length


def test_logits_that_are_not_finite_end_the_run(make_policy, folder):
    policy = make_policy(folder)
    before = finish(started(policy))
    whole = [weight.detach().clone() for weight in policy.trainable]
    with torch.no_grad():
        policy.trainable[-1].fill_(float("nan"))
    with pytest.raises(DivergedError, match="not finite"):
        finish(started(policy))
    with torch.no_grad():
        for weight, value in zip(policy.trainable, whole, strict=True):
            weight.copy_(value)
    assert_same(finish(started(policy)), before)


class NoWaiting(TorchDispatchMode):
    """Fails on an operation that reads a tensor on the host; counts the others."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        name = function.overloadpacket.__name__
        assert name not in WAITS, f"{name} waits for the device"
        indices = arguments[1] if name == "index" else ()
        assert all(i is None or i.dtype != torch.bool for i in indices), "a mask as index waits for the device"
        self.names.append(str(function))
        return function(*arguments, **keywords or {})


def tensors_of(value):
    """Yield every tensor that an object holds, however deep."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        yield from (tensor for part in value.values() for tensor in tensors_of(part))
    elif isinstance(value, (list, tuple)):
        yield from (tensor for part in value for tensor in tensors_of(part))
    elif hasattr(value, "__dict__") and not callable(value):
        yield from tensors_of(vars(value))


@pytest.mark.parametrize("cut", [{}, {"top_k": 5, "top_p": 0.8}], ids=["all tokens", "cut"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_step_moves_no_tensor_waits_for_nothing_and_is_the_same_each_time(make_policy, folder, cut, dtype):
    policy = make_policy(folder, dtype=dtype)
    run = started(policy, KNOBS.changed(cut))
    next(run)
    (decode,) = policy.decode_steps.values()
    addresses = [tensor.data_ptr() for tensor in tensors_of(decode)]
    assert len(addresses) > 20
    held = {name: value for name, value in vars(decode).items() if isinstance(value, (int, float))}
    operations = []
    for _ in range(4):
        with NoWaiting() as watch:
            decode.advance()
        operations.append(watch.names)
        assert [tensor.data_ptr() for tensor in tensors_of(decode)] == addresses
    assert all(a == b for a, b in pairwise(operations)) and len(operations[0]) > 50
    assert held == {name: value for name, value in vars(decode).items() if isinstance(value, (int, float))}
    run.close()


def test_the_watch_sees_what_waits():
    mask = torch.tensor([True, False])
    for wait in (lambda: mask.any().item(), lambda: bool(mask.any()), lambda: mask.nonzero(), lambda: mask[mask]):
        with pytest.raises(AssertionError, match="waits"), NoWaiting():
            wait()


class Recorded(TorchDispatchMode):
    """What a CUDA graph keeps, on the CPU: the operations with their numbers, and where they read and write."""

    def __init__(self):
        super().__init__()
        self._calls = []

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **keywords or {})
        self._calls.append((function, arguments, keywords or {}, result))
        return result

    def replay(self):
        for function, arguments, keywords, result in self._calls:
            again = function(*arguments, **keywords)
            for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                if old.untyped_storage().data_ptr() != new.untyped_storage().data_ptr():  # neither a view nor in place
                    old.copy_(new)


@pytest.mark.parametrize("cut", [{}, {"top_k": 5, "top_p": 0.8}], ids=["all tokens", "cut"])
def test_a_step_recorded_once_and_replayed_samples_the_same(make_policy, folder, cut):
    policy = replace(make_policy(folder), eos_ids=MANY_ENDS)
    knobs = KNOBS.changed(cut)
    finish(started(policy, knobs))
    (decode,) = policy.decode_steps.values()
    with torch.no_grad(), Recorded() as graph:
        decode.advance()
    decode.advance = torch.no_grad()(graph.replay)
    assert_same(*sampled_both_ways(policy, knobs))
    move_adapter(policy)
    for prompts, seed in ((PROMPTS, 2), (("123+456=?", "1+2=?"), 3)):
        assert_same(*sampled_both_ways(policy, knobs, prompts, seed))
    assert list(policy.decode_steps.values()) == [decode]


def on_meta(value):
    """Return weights whose tensors are on the meta device: they have shapes, and no numbers for the host to read."""
    if isinstance(value, torch.Tensor):
        return value.to("meta")
    if isinstance(value, tuple):
        return tuple(on_meta(part) for part in value)
    if isinstance(value, torch.nn.Module):
        return value.to("meta")
    if is_dataclass(value):
        return replace(value, **{f.name: on_meta(getattr(value, f.name)) for f in fields(value)})
    return value


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_step_on_another_device_keeps_everything_there(make_policy, folder, dtype):
    weights = on_meta(make_policy(folder, dtype=dtype).lean_rollout())
    sizes = {"num_rows": 8, "room": 64, "length": 64}
    choice = {"temperature": 0.7, "top_k": 5, "top_p": 0.8, "eos_ids": (1, 2), "pad_id": 0}
    decode = StaticStep(weights, StepPlan(**sizes, **choice))
    with NoWaiting():
        decode.advance()
    assert {tensor.device.type for tensor in tensors_of(decode)} == {"meta"}


def test_a_run_learns_the_same_and_says_how_it_sampled(make_config, monkeypatch):
    knobs = Knobs(num_generations=4, max_completion_length=12, learning_rate=1e-2)
    ordinary, learner = (make_learner(make_config()) for _ in range(2))
    before = adapter_of(learner.policy)
    records = [take_step(ordinary, knobs, step) for step in (1, 2, 3)]
    assert "cuda_graphs" not in records[0].fast_paths and "row_compaction" in records[0].fast_paths
    learner.policy.fast_paths |= {"cuda_graphs"}
    for module in (sampling, speed):
        monkeypatch.setattr(module, "is_replayed", lambda policy: True)
    for step, record in enumerate(records, start=1):
        found = take_step(learner, knobs, step)
        assert [c.text for g in found.groups for c in g.completions] == [
            c.text for g in record.groups for c in g.completions
        ]
        assert "cuda_graphs" in found.fast_paths and "row_compaction" not in found.fast_paths
    torch.testing.assert_close(adapter_of(learner.policy), adapter_of(ordinary.policy), atol=1e-5, rtol=0)
    assert (adapter_of(learner.policy) - before).abs().max() > 1e-3


def test_without_a_gpu_there_are_no_graphs(make_policy, gpt2_folder):
    for policy in (make_policy(), make_policy(gpt2_folder)):
        assert "cuda_graphs" not in policy.fast_paths and not is_replayed(policy)


def test_on_a_gpu_sampling_takes_this_way_unless_it_is_left_out(make_policy):
    policy = make_policy()
    on_gpu = replace(policy, device=torch.device("cuda"), fast_paths=policy.fast_paths | {"cuda_graphs"})
    assert is_replayed(on_gpu)
    assert not is_replayed(replace(on_gpu, fast_paths=policy.fast_paths))
    assert not is_replayed(replace(on_gpu, fast_paths=on_gpu.fast_paths - {"lean_model"}))


def test_a_capture_that_fails_says_why_once_and_the_step_runs_all_the_same(make_policy, monkeypatch):
    policy = make_policy()
    finish(started(policy))
    (decode,) = policy.decode_steps.values()
    eager = decode.advance

    def fail(work, device):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(replayed, "captured", fail)
    policy.fast_paths |= {"cuda_graphs"}
    with pytest.warns(UserWarning, match="one by one: operation not permitted"):
        replayed._capture(policy, decode)
    assert decode.advance == eager and "cuda_graphs" not in policy.fast_paths
