"""Our own sampling loop: it notes what it sees, and is a generator, so it can be paused and ended between tokens."""

from collections.abc import Generator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.engine.decoding import decoding
from workbench.engine.drawing import NOT_FINITE, draw, likeliest
from workbench.engine.lean.replayed import is_replayed, sample_replayed
from workbench.engine.lean.sidebyside import is_side_by_side, sample_side_by_side
from workbench.engine.policy import Policy
from workbench.engine.prompts import PromptBatch
from workbench.engine.rollout import Notes, Rollout
from workbench.errors import DivergedError
from workbench.grpo.logprobs import tempered
from workbench.run.knobs import Knobs
from workbench.run.record import Progress


def sample_groups(
    policy: Policy, prompts: PromptBatch, knobs: Knobs, *, step: int, generator: torch.Generator
) -> Generator[Progress, None, Rollout]:
    """Sample G completions of each prompt, yielding after every token; return them with a prompt's next to each other.

    Each prompt is read once, and what the model remembers of it is repeated for its group. Rows that have ended leave
    the batch as soon as they are a quarter of it. The random numbers are drawn for each row and place, so no fast path
    changes what is sampled.
    Raises DivergedError when the logits are not finite.
    """
    length = completion_room(policy, prompts, knobs)
    yield Progress(step, "sample", 0, length)
    if is_replayed(policy):
        return (yield from sample_replayed(policy, prompts, knobs, length, step=step, generator=generator))
    if is_side_by_side(policy):
        return (yield from sample_side_by_side(policy, prompts, knobs, length, step=step, generator=generator))
    num_rows = len(prompts.texts) * knobs.num_generations
    notes = Notes(policy, num_rows, length)
    chances = torch.rand(length, num_rows, generator=generator, device=policy.device, dtype=torch.float64)
    rows = torch.arange(num_rows, device=policy.device)  # those in the batch
    written = list(range(num_rows))  # which of these have not ended
    with decoding(policy, prompts, knobs.num_generations, length) as decoder:
        for t in range(length):
            logits = tempered(decoder.logits, knobs.temperature)
            token_ids = _next_tokens(logits, chances[t, rows], knobs)
            drawn = token_ids.tolist()
            if max(drawn) == logits.shape[1]:
                raise DivergedError(NOT_FINITE)
            notes.add(t, rows, written, logits, token_ids)
            yield Progress(step, "sample", t + 1, length)
            written = [place for place in written if drawn[place] not in policy.eos_ids]
            if t + 1 == length or not written:
                break
            if "row_compaction" in policy.fast_paths and 4 * len(written) <= 3 * len(rows):
                kept = decoder.keep(torch.tensor(written, device=policy.device))
                rows, token_ids, written = rows[kept], token_ids[kept], list(range(len(kept)))
            decoder.advance(token_ids)
    return notes.rollout(rows[written])


@torch.no_grad()
def _next_tokens(logits: Float[Tensor, "R V"], chances: Float[Tensor, " R"], knobs: Knobs) -> Int[Tensor, " R"]:
    """Draw a token for each row, each with a chance of its own; V, which is no token, where logits are not finite."""
    return draw(likeliest(logits.softmax(-1), knobs.top_k, knobs.top_p), chances)


def completion_room(policy: Policy, prompts: PromptBatch, knobs: Knobs) -> int:
    limit = getattr(policy.model.config, "max_position_embeddings", None)
    room = knobs.max_completion_length if limit is None else limit - prompts.ids.shape[1]
    return min(knobs.max_completion_length, room)
