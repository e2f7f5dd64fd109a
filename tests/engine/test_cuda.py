"""The key claims once more where the tensors are on a GPU. The kernels are others, so the tolerances are wider.

Where there is no GPU these run on a pretended one: what is left out then is what its kernels and graphs do.
"""

import math
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from tests.engine.arrays import adapter_of, completions_of, run_steps, sample, tokens_of
from tests.engine.pretend_card import pretend_card
from workbench.engine.batch import TokenBatch
from workbench.engine.lean.replayed import is_replayed
from workbench.engine.prompts import encode_prompts
from workbench.engine.scoring import score
from workbench.run.knobs import Knobs

HAS_CARD = torch.cuda.is_available()

KNOBS = Knobs(
    num_generations=4, max_completion_length=12, temperature=0.7, num_iterations=2, learning_rate=1e-2, beta=0.05
)
TOLERANCE = {"float32": 1e-4, "bfloat16": 0.15}


@pytest.fixture(autouse=True)
def card():
    with nullcontext() if HAS_CARD else pretend_card():
        yield


on_both_dtypes = pytest.mark.parametrize("dtype", ["float32", "bfloat16"])


@on_both_dtypes
def test_what_was_recorded_while_sampling_is_what_scoring_finds(make_policy, any_folder, dtype):
    policy = make_policy(any_folder, device="cuda", dtype=dtype)
    prompts, rollout = sample(policy, KNOBS)
    with torch.no_grad():
        logps = score(policy, TokenBatch.of(prompts, rollout, 4, KNOBS.temperature)).logps
    assert logps.device.type == "cuda" and logps.dtype == torch.float32
    difference = (rollout.logps - logps)[rollout.mask].abs()
    assert difference.mean() < TOLERANCE[dtype]


@on_both_dtypes
def test_the_merged_policy_is_the_same_function_and_the_base_weights_come_back(make_policy, any_folder, dtype):
    policy = make_policy(any_folder, device="cuda", dtype=dtype)
    before = {name: weight.clone() for name, weight in policy.model.state_dict().items()}
    prompts = encode_prompts(policy, ["12+34=?"])
    with torch.no_grad():
        expected = policy.logits(prompts.ids, None, prompts.positions, num_last=1).float()
        with policy.merged():
            merged = policy.logits(prompts.ids, None, prompts.positions, num_last=1).float()
    assert (merged - expected).abs().mean() < TOLERANCE[dtype]
    assert all(torch.equal(before[name], weight) for name, weight in policy.model.state_dict().items())


@on_both_dtypes
def test_a_run_on_the_gpu_has_exact_first_ratios_finite_metrics_and_moves_the_policy(make_config, any_folder, dtype):
    def varied(prompts, completions, completion_ids, **columns):
        return [float(sum(ids) % 7) for ids in completion_ids]

    config = make_config(model=str(any_folder), device="cuda", dtype=dtype, micro_batch_size=3)
    for record in run_steps(config, KNOBS, 3, reward_funcs=[varied]):
        assert record.device.startswith("cuda")
        assert (tokens_of(record, lambda c: c.ratio_by_update[0]) == 1).all()
        assert all(value is not None and math.isfinite(value) for value in record.metrics.values())
    assert record.metrics["kl"] > 0


def test_the_gpu_and_the_cpu_score_alike_in_float32(make_policy):
    on_gpu, on_cpu = make_policy(device="cuda", dtype="float32"), make_policy(device="cpu")
    assert torch.equal(adapter_of(on_gpu), adapter_of(on_cpu)), "the seed makes the same adapter on both"
    prompts, rollout = sample(on_cpu, KNOBS)
    batch = TokenBatch.of(prompts, rollout, 4, KNOBS.temperature)
    tensors = (batch.prompt_ids, batch.prompt_mask, batch.completion_ids, batch.mask, batch.loss_mask)
    moved = TokenBatch(*(t.cuda() for t in tensors), batch.temperature)
    with torch.no_grad():
        expected, found = score(on_cpu, batch).logps, score(on_gpu, moved).logps.cpu()
    torch.testing.assert_close(found[batch.mask], expected[batch.mask], atol=1e-3, rtol=1e-3)


def test_the_same_seed_samples_the_same_on_the_gpu(make_config):
    config = make_config(device="cuda", dtype="float32")
    first, again = (run_steps(config, KNOBS, 1)[0] for _ in range(2))
    assert [c.text for c in completions_of(first)] == [c.text for c in completions_of(again)]


@pytest.mark.parametrize("cut", [{}, {"top_k": 5}, {"top_p": 0.8}], ids=str)
@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_a_graph_is_captured_once_and_samples_what_the_plain_way_does(make_policy, request, kind, cut):
    policy = make_policy(request.getfixturevalue(f"{kind}_folder"), device="cuda", dtype="float32")
    plain = replace(policy, fast_paths=policy.fast_paths - {"cuda_graphs"})
    assert is_replayed(policy) and not is_replayed(plain)
    knobs = KNOBS.changed(cut | {"max_completion_length": 20})
    replays = []
    for prompts in (("12+34=?", "7=?"), ("a much longer prompt: 1+2=?", "8=?")):
        (_, found), (_, expected) = sample(policy, knobs, prompts), sample(plain, knobs, prompts)
        assert torch.equal(found.token_ids, expected.token_ids) and torch.equal(found.mask, expected.mask)
        assert torch.equal(found.is_truncated, expected.is_truncated)
        for name in ("logps", "entropy", "top_logps"):
            torch.testing.assert_close(getattr(found, name), getattr(expected, name), atol=1e-4, rtol=1e-4)
        (decode,) = policy.decode_steps.values()
        replays.append(decode.advance)
        with torch.no_grad():
            for weight in policy.trainable:  # the second time with another adapter
                weight += 0.05
    assert replays[0] == replays[1]
    if HAS_CARD:
        assert isinstance(replays[0].__self__, torch.cuda.CUDAGraph)


def test_a_step_on_the_gpu_says_that_graphs_were_replayed(make_config):
    (record,) = run_steps(make_config(device="cuda"), KNOBS, 1)
    assert "cuda_graphs" in record.fast_paths and "row_compaction" not in record.fast_paths
    (record,) = run_steps(make_config(device="cuda", plain_paths=("cuda_graphs",)), KNOBS, 1)
    assert "cuda_graphs" not in record.fast_paths and "row_compaction" in record.fast_paths
