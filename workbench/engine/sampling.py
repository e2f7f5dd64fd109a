"""Our own sampling loop: it records as it samples, and is a generator, so it can be paused and ended between tokens."""

from collections.abc import Generator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.engine.decoding import Decoder
from workbench.engine.policy import Policy
from workbench.engine.prompts import PromptBatch
from workbench.errors import DivergedError
from workbench.run.knobs import Knobs
from workbench.run.record import Progress

NUM_ALTERNATIVES = 5


@dataclass(frozen=True, eq=False)
class Rollout:
    """What was sampled: `B` completions padded on the right, and what was seen at each token.

    `logps` and `entropy` (nats) are those of the distribution that was sampled from: logits divided by the temperature.
    `mask` is True on a completion's tokens, its end-of-sequence token included. A completion that never ended
    `is_truncated`. Padding holds 0, and the padding id.
    """

    token_ids: Int[Tensor, "B T"]
    mask: Bool[Tensor, "B T"]
    logps: Float[Tensor, "B T"]
    entropy: Float[Tensor, "B T"]
    top_ids: Int[Tensor, "B T K"]
    top_logps: Float[Tensor, "B T K"]
    is_truncated: Bool[Tensor, " B"]


def sample_groups(
    policy: Policy, prompts: PromptBatch, knobs: Knobs, *, step: int, generator: torch.Generator
) -> Generator[Progress, None, Rollout]:
    """Sample G completions of each prompt, yielding after every token; return them with a prompt's next to each other.

    Each prompt is read once, and what the model remembers of it is repeated for its group. Rows that have ended leave
    the batch. Raises DivergedError when the logits are not finite.
    """
    length = _completion_room(policy, prompts, knobs)
    yield Progress(step, "sample", 0, length)
    rollout = _empty_rollout(policy, len(prompts.texts) * knobs.num_generations, length)
    eos_ids = torch.tensor(policy.eos_ids, device=policy.device)
    rows = torch.arange(len(rollout.token_ids), device=policy.device)
    with policy.merged():
        decoder = Decoder(policy, prompts, knobs.num_generations)
        for t in range(length):
            token_ids = _sample_token(rollout, t, rows, decoder.logits / knobs.temperature, generator)
            yield Progress(step, "sample", t + 1, length)
            goes_on = torch.isin(token_ids, eos_ids, invert=True)
            if not goes_on.all():
                rollout.is_truncated[rows[~goes_on]] = False
                rows, token_ids = rows[goes_on], token_ids[goes_on]
                decoder.keep(goes_on)
            if len(rows) == 0 or t + 1 == length:
                break
            decoder.advance(token_ids)
    return _trimmed(rollout)


@torch.no_grad()
def _sample_token(
    rollout: Rollout, t: int, rows: Int[Tensor, " R"], logits: Float[Tensor, "R V"], generator: torch.Generator
) -> Int[Tensor, " R"]:
    """Draw token `t` of the given rows and note what was seen; return the drawn ids."""
    log_normalizer = logits.logsumexp(-1, keepdim=True)
    if not log_normalizer.isfinite().all():
        raise DivergedError("the policy's logits are not finite: training diverged; lower the learning rate or raise β")
    logps = logits - log_normalizer
    probabilities = logits.softmax(-1)
    token_ids = draw(probabilities, generator)
    rollout.token_ids[rows, t] = token_ids
    rollout.mask[rows, t] = True
    rollout.logps[rows, t] = logps.gather(-1, token_ids[:, None])[:, 0]
    # a probability of 0 has a log-probability of -inf, and their product must be 0
    rollout.entropy[rows, t] = -(probabilities * logps.clamp(min=-1e4)).sum(-1)
    num_alternatives = rollout.top_ids.shape[-1]
    top = logps.topk(num_alternatives)
    rollout.top_ids[rows, t], rollout.top_logps[rows, t] = top.indices, top.values
    return token_ids


def draw(probabilities: Float[Tensor, "R V"], generator: torch.Generator) -> Int[Tensor, " R"]:
    """Return one index drawn from each row: the first at which the cumulated probability exceeds a uniform number.

    Rows need not sum to exactly 1; an index of probability 0 is never drawn. Much faster than `torch.multinomial`,
    which draws a random number for every entry.

    >>> draw(torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), torch.Generator())
    tensor([1, 2])
    """
    cumulated = probabilities.cumsum(-1, dtype=torch.float64)
    uniform = torch.rand(len(probabilities), 1, generator=generator, device=probabilities.device, dtype=torch.float64)
    return torch.searchsorted(cumulated, uniform * cumulated[:, -1:], right=True)[:, 0]


def _completion_room(policy: Policy, prompts: PromptBatch, knobs: Knobs) -> int:
    limit = getattr(policy.model.config, "max_position_embeddings", None)
    room = knobs.max_completion_length if limit is None else limit - prompts.ids.shape[1]
    return min(knobs.max_completion_length, room)


def _empty_rollout(policy: Policy, num_rows: int, length: int) -> Rollout:
    shape, device = (num_rows, length), policy.device
    num_alternatives = min(NUM_ALTERNATIVES, policy.model.config.vocab_size)
    return Rollout(
        token_ids=torch.full(shape, policy.pad_id, device=device),
        mask=torch.zeros(shape, dtype=torch.bool, device=device),
        logps=torch.zeros(shape, device=device),
        entropy=torch.zeros(shape, device=device),
        top_ids=torch.zeros((*shape, num_alternatives), dtype=torch.long, device=device),
        top_logps=torch.zeros((*shape, num_alternatives), device=device),
        is_truncated=torch.ones(num_rows, dtype=torch.bool, device=device),
    )


def _trimmed(rollout: Rollout) -> Rollout:
    """Return the rollout without the columns that no completion reached."""
    longest = int(rollout.mask.sum(1).amax())
    names = ("token_ids", "mask", "logps", "entropy", "top_ids", "top_logps")
    return Rollout(**{n: getattr(rollout, n)[:, :longest] for n in names}, is_truncated=rollout.is_truncated)
