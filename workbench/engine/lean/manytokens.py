"""Sampling some rows to their end as one call that TorchScript compiles: parts of a batch are sampled side by side.

It computes what `sampling.py` and `rollout.py` do. TorchScript knows no shapes: they are in the comments.
"""

from typing import NamedTuple, no_type_check

import torch
from torch import Tensor

from workbench.engine.drawing import draw, likeliest, seen
from workbench.engine.lean.onetoken import Rows, read
from workbench.engine.lean.products import Products


class SamplingOptions(NamedTuple):
    """How tokens are drawn, and when a row ends."""

    temperature: float
    top_k: int
    top_p: float
    eos_ids: Tensor
    drops_rows: bool  # those that have ended, once they are a quarter
    num_noted_at_once: int  # entries of logits that wait, at most, until they are worked out


class Noted(NamedTuple):
    """A rollout to be filled, its rows in their order."""

    token_ids: Tensor  # [R, T]
    mask: Tensor
    logps: Tensor
    entropy: Tensor
    top_ids: Tensor  # [R, T, K]
    top_logps: Tensor
    is_truncated: Tensor  # [R]


class SamplingState(NamedTuple):
    """Some rows on their way: `logits` of token `t` [R, V], whose row in the part each is, and which have not ended."""

    rows: Rows
    logits: Tensor
    t: int
    row_ids: Tensor  # [R]
    alive: Tensor
    is_over: bool
    is_finite: bool


class Waiting(NamedTuple):
    """What was drawn and is to be noted, a tensor for each place: rows, places, tokens, logits, and which count."""

    rows: list[Tensor]
    places: list[Tensor]
    token_ids: list[Tensor]
    logits: list[Tensor]
    counts: list[Tensor]


@no_type_check  # TorchScript reads the annotations, and these are all that it knows
def sample_rows(
    weights: Products,
    state: SamplingState,
    chances: Tensor,  # [T, R]
    options: SamplingOptions,
    noted: Noted,
    num_drawn: Tensor,  # counted up, a token at a time
    limit: Tensor,  # another thread may change it: a token at or beyond it is not drawn now
) -> SamplingState:
    """Draw each row's tokens to its end or up to the limit, at least one and at most T, and note them."""
    rows, logits, t, row_ids, alive = state.rows, state.logits, state.t, state.row_ids, state.alive
    prompt, is_over, is_finite = rows.turns.shape[0] - len(chances), False, True
    waiting = Waiting([], [], [], [], [])
    while not is_over:
        if options.temperature != 1.0:
            logits = logits / options.temperature
        token_ids = draw(likeliest(logits.softmax(-1), options.top_k, options.top_p), chances[t][row_ids])
        if int(token_ids.max()) == logits.shape[1]:
            is_over, is_finite = True, False
            break
        _wait(waiting, row_ids, t, token_ids, logits, alive)
        if (len(waiting.rows) + 1) * logits.numel() > options.num_noted_at_once:
            _note(waiting, noted)
        t += 1
        num_drawn.fill_(t)
        alive = alive.logical_and(torch.isin(token_ids, options.eos_ids).logical_not())
        num_alive = int(alive.sum())
        is_over = t == len(chances) or num_alive == 0
        if not is_over:
            if options.drops_rows and 4 * num_alive <= 3 * len(row_ids):
                rows, kept = _without_ended(rows, alive, num_alive, prompt + t - 1)
                row_ids, token_ids, alive = row_ids[kept], token_ids[kept], alive[kept]
            logits = read(weights, rows, token_ids, prompt + t - 1)
            if t >= int(limit):
                break
    _note(waiting, noted)
    if is_over:
        noted.is_truncated[row_ids[alive]] = True
    return SamplingState(rows, logits, t, row_ids, alive, is_over, is_finite)


@no_type_check
def _wait(waiting: Waiting, row_ids: Tensor, t: int, token_ids: Tensor, logits: Tensor, alive: Tensor) -> None:
    waiting.rows.append(row_ids)
    waiting.places.append(torch.full_like(row_ids, t))
    waiting.token_ids.append(token_ids)
    waiting.logits.append(logits)
    waiting.counts.append(alive)


@no_type_check
def _note(waiting: Waiting, noted: Noted) -> None:
    """Work out what is seen of the tokens that wait: of many at a time."""
    if len(waiting.rows) == 0:
        return
    counts = torch.cat(waiting.counts).nonzero()[:, 0]
    rows, places = torch.cat(waiting.rows)[counts], torch.cat(waiting.places)[counts]
    token_ids = torch.cat(waiting.token_ids)[counts]
    logps, entropy, top_ids, top_logps = seen(torch.cat(waiting.logits)[counts], token_ids, noted.top_ids.shape[2])
    noted.token_ids[rows, places] = token_ids
    noted.mask[rows, places] = torch.ones_like(token_ids, dtype=torch.bool)
    noted.logps[rows, places], noted.entropy[rows, places] = logps, entropy
    noted.top_ids[rows, places], noted.top_logps[rows, places] = top_ids, top_logps
    waiting.rows.clear()
    waiting.places.clear()
    waiting.token_ids.clear()
    waiting.logits.clear()
    waiting.counts.clear()


@no_type_check
def _without_ended(rows: Rows, alive: Tensor, num_alive: int, num_read: int) -> tuple[Rows, Tensor]:
    """Return the rows that have not ended, and which each of them was.

    The last ones take the places of those that leave, so that few are copied.
    """
    kept = torch.arange(num_alive)
    places, movers = alive[:num_alive].logical_not().nonzero()[:, 0], alive[num_alive:].nonzero()[:, 0] + num_alive
    kept[places] = movers
    memory: list[Tensor] = []
    for both in rows.memory:
        used = both.narrow(3, 0, num_read)
        used.index_copy_(1, places, used.index_select(1, movers))
        memory.append(both.narrow(1, 0, num_alive))
    num_padding, hides = rows.num_padding, rows.hides
    if num_padding is not None and hides is not None:
        num_padding = num_padding[kept]
        hides = hides.unflatten(0, [len(alive), -1])[kept].flatten(0, 1)
    return Rows(memory, rows.turns, num_padding, hides), kept
