"""Our own sampling loop: it records as it samples, and is a generator, so it can be paused and ended between tokens."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, fields

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
_PER_TOKEN = ("token_ids", "mask", "logps", "entropy", "top_ids", "top_logps")


@dataclass(frozen=True, eq=False)
class Rollout:
    """What was sampled: `B` completions padded on the right, and what was seen at each token.

    `logps` and `entropy` (nats) are those of the logits divided by the temperature, over all tokens: top_k and top_p
    choose what is sampled, not what is recorded, so that scoring gives the same again.
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

    @property
    def lengths(self) -> Int[Tensor, " B"]:
        return self.mask.sum(1)

    def of_rows(self, rows: Int[Tensor, " R"]) -> "Rollout":
        return Rollout(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def sample_groups(
    policy: Policy, prompts: PromptBatch, knobs: Knobs, *, step: int, generator: torch.Generator
) -> Generator[Progress, None, Rollout]:
    """Sample G completions of each prompt, yielding after every token; return them with a prompt's next to each other.

    Each prompt is read once, and what the model remembers of it is repeated for its group. Rows that have ended leave
    the batch. Raises DivergedError when the logits are not finite.
    """
    length = completion_room(policy, prompts, knobs)
    yield Progress(step, "sample", 0, length)
    rollout = empty_rollout(policy, len(prompts.texts) * knobs.num_generations, length)
    eos_ids = torch.tensor(policy.eos_ids, device=policy.device)
    rows = torch.arange(len(rollout.token_ids), device=policy.device)
    with policy.merged():
        decoder = Decoder(policy, prompts, knobs.num_generations)
        for t in range(length):
            token_ids = _sample_token(rollout, t, rows, decoder.logits / knobs.temperature, knobs, generator)
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
    rollout: Rollout,
    t: int,
    rows: Int[Tensor, " R"],
    logits: Float[Tensor, "R V"],
    knobs: Knobs,
    generator: torch.Generator,
) -> Int[Tensor, " R"]:
    """Draw token `t` of the given rows and note what was seen; return the drawn ids."""
    log_normalizer = logits.logsumexp(-1, keepdim=True)
    if not log_normalizer.isfinite().all():
        raise DivergedError("the policy's logits are not finite: training diverged; lower the learning rate or raise β")
    logps = logits - log_normalizer
    probabilities = logits.softmax(-1)
    token_ids = draw(likeliest(probabilities, knobs.top_k, knobs.top_p), generator)
    rollout.token_ids[rows, t] = token_ids
    rollout.mask[rows, t] = True
    rollout.logps[rows, t] = logps.gather(-1, token_ids[:, None])[:, 0]
    # a probability of 0 has a log-probability of -inf, and their product must be 0
    rollout.entropy[rows, t] = -(probabilities * logps.clamp(min=-1e4)).sum(-1)
    num_alternatives = rollout.top_ids.shape[-1]
    top = logps.topk(num_alternatives)
    rollout.top_ids[rows, t], rollout.top_logps[rows, t] = top.indices, top.values
    return token_ids


def likeliest(probabilities: Float[Tensor, "R V"], top_k: int, top_p: float) -> Float[Tensor, "R V"]:
    """Return the probabilities with 0 for all but the `top_k` likeliest (0: all) and, of these, the nucleus `top_p`.

    The nucleus is the fewest tokens, likeliest first, whose share of what is left reaches `top_p`. Rows no longer sum
    to 1. Source: https://arxiv.org/abs/1904.09751

    >>> likeliest(torch.tensor([[0.5, 0.25, 0.125, 0.125]]), 0, 0.6)
    tensor([[0.5000, 0.2500, 0.0000, 0.0000]])
    >>> likeliest(torch.tensor([[0.5, 0.25, 0.125, 0.125]]), 1, 1.0)
    tensor([[0.5000, 0.0000, 0.0000, 0.0000]])
    """
    if top_k == 0 and top_p == 1:
        return probabilities
    ordered, ids = probabilities.sort(dim=-1, descending=True, stable=True)
    if top_k > 0:
        ordered[:, top_k:] = 0.0
    before = ordered.cumsum(-1) - ordered
    ordered = torch.where(before < top_p * ordered.sum(-1, keepdim=True), ordered, torch.zeros_like(ordered))
    return torch.zeros_like(probabilities).scatter(-1, ids, ordered)


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


def completion_room(policy: Policy, prompts: PromptBatch, knobs: Knobs) -> int:
    limit = getattr(policy.model.config, "max_position_embeddings", None)
    room = knobs.max_completion_length if limit is None else limit - prompts.ids.shape[1]
    return min(knobs.max_completion_length, room)


def empty_rollout(policy: Policy, num_rows: int, length: int) -> Rollout:
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


def join_rollouts(rollouts: Sequence[Rollout], pad_id: int) -> Rollout:
    """Return the rows of all rollouts as one, padded to the longest."""
    longest = max(rollout.mask.shape[1] for rollout in rollouts)
    joined = {}
    for name in _PER_TOKEN:
        fill = pad_id if name == "token_ids" else 0
        joined[name] = torch.cat([_widened(getattr(rollout, name), longest, fill) for rollout in rollouts])
    return Rollout(**joined, is_truncated=torch.cat([rollout.is_truncated for rollout in rollouts]))


def _widened(values: Tensor, length: int, fill: int) -> Tensor:
    missing = values.new_full((values.shape[0], length - values.shape[1], *values.shape[2:]), fill)
    return torch.cat([values, missing], dim=1)


def _trimmed(rollout: Rollout) -> Rollout:
    """Return the rollout without the columns that no completion reached."""
    longest = int(rollout.mask.sum(1).amax())
    return Rollout(
        **{name: getattr(rollout, name)[:, :longest] for name in _PER_TOKEN}, is_truncated=rollout.is_truncated
    )
