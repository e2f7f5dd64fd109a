"""Sampling with a decode step that a GPU captured as a graph: the host starts one graph a token, not every operation.

Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

import warnings
from collections.abc import Callable, Generator
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.engine.lean.static import StaticStep, StepPlan
from workbench.engine.lean.weights import LeanWeights
from workbench.engine.policy import Policy
from workbench.engine.prompts import PromptBatch
from workbench.engine.rollout import Rollout
from workbench.run.knobs import Knobs
from workbench.run.record import Progress

LOOK_EVERY = 8  # tokens between two looks at whether all rows have ended: each look waits for the device
NUM_KEPT = 2  # steps with their memory
SMALLEST_ROOM = 64
_WARM_UPS = 3  # runs before a capture, in which libraries set themselves up


def is_replayed(policy: Policy) -> bool:
    """Return whether the policy's completions are sampled by replaying a graph."""
    return policy.device.type == "cuda" and {"cuda_graphs", "lean_model"} <= policy.fast_paths


def sample_replayed(
    policy: Policy, prompts: PromptBatch, knobs: Knobs, length: int, *, step: int, generator: torch.Generator
) -> Generator[Progress, None, Rollout]:
    """Sample as `sample_groups` does, at most `length` tokens, yielding after every token.

    Ended rows stay, and after the last has ended up to LOOK_EVERY − 1 more tokens are yielded. Where the policy is not
    on a GPU the step's operations run one by one. Raises DivergedError when the logits are not finite.
    """
    num_rows = len(prompts.texts) * knobs.num_generations
    chances = torch.rand(length, num_rows, generator=generator, device=policy.device, dtype=torch.float64)
    decode = _started(policy, prompts, knobs, chances)
    for t in range(length):
        if t > 0:
            decode.advance()
        yield Progress(step, "sample", t + 1, length)
        if ((t + 1) % LOOK_EVERY == 0 or t + 1 == length) and not decode.goes_on():
            break
    return decode.rollout(num_rows)


def bucket(number: int) -> int:
    """Return the least of 64, 96, 128, 192, 256, 384 … that is not smaller, so that few sizes serve all.

    >>> [bucket(number) for number in (1, 64, 65, 97, 200, 300)]
    [64, 64, 96, 128, 256, 384]
    """
    size = SMALLEST_ROOM
    while size < number:
        size *= 2
    return size * 3 // 4 if number <= size * 3 // 4 and size > SMALLEST_ROOM else size


def _started(policy: Policy, prompts: PromptBatch, knobs: Knobs, chances: Float[Tensor, "T R"]) -> StaticStep:
    length, num_rows = chances.shape
    num_generations = knobs.num_generations
    if "shared_prefill" not in policy.fast_paths:
        prompts, num_generations = prompts.repeated(num_generations), 1
    plan = StepPlan(
        num_rows=num_rows,
        room=bucket(prompts.ids.shape[1] + length),
        length=bucket(length),
        temperature=knobs.temperature,
        top_k=knobs.top_k,
        top_p=knobs.top_p,
        eos_ids=policy.eos_ids,
        pad_id=policy.pad_id,
    )
    weights = policy.lean_rollout()
    decode = _step_for(policy, weights, plan)
    decode.start(weights, prompts, num_generations, chances)
    return decode


def _step_for(policy: Policy, weights: LeanWeights, plan: StepPlan) -> StaticStep:
    """Return a step for that plan, or for more rows: one that is kept, or a new one in place of the longest unused."""
    kept, first = policy.decode_steps, weights.layers[0].qkv
    kind = (first.is_folded, first.a is None, first.scaling)  # how the adapter enters the operations
    for known in kept:
        has_plan, has_kind = known
        if (
            has_kind == kind
            and has_plan.num_rows >= plan.num_rows
            and plan == replace(has_plan, num_rows=plan.num_rows)
        ):
            kept[known] = kept.pop(known)  # the last one used is the last one
            return kept[known]
    while len(kept) >= NUM_KEPT:
        del kept[next(iter(kept))]
    decode = kept[plan, kind] = StaticStep(weights, plan)
    if policy.device.type == "cuda":
        _capture(policy, decode)
    return decode


def _capture(policy: Policy, decode: StaticStep) -> None:
    """Have the step replayed from now on. Where that fails, say why, and leave this fast path out from now on."""
    try:
        decode.advance = captured(decode.advance, policy.device)
    except RuntimeError as reason:
        policy.fast_paths -= {"cuda_graphs"}
        warnings.warn(
            f"no CUDA graph of a decode step could be captured, so its operations run one by one: {reason}",
            stacklevel=2,
        )


def captured(work: Callable[[], object], device: torch.device) -> Callable[[], object]:
    """Return the replay of a graph of `work`, which runs a few times before it is captured. Raises RuntimeError."""
    stream = torch.cuda.current_stream(device)
    aside = torch.cuda.Stream(device)
    aside.wait_stream(stream)
    try:
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UPS):
                work()
        stream.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            work()
    finally:
        torch.cuda.set_stream(stream)  # a capture that fails leaves its own stream behind
    return graph.replay
