"""What sampling leaves behind: the completions, and what was seen at each token."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.engine.drawing import seen
from workbench.engine.policy import Policy

NUM_ALTERNATIVES = 5
LOGITS_NOTED_AT_ONCE = 2**22  # 16 MiB in float32
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

    def trimmed(self) -> "Rollout":
        """Return it without the columns that no completion reached."""
        longest = int(self.lengths.amax())
        return replace(self, **{name: getattr(self, name)[:, :longest] for name in _PER_TOKEN})

    def of_rows(self, rows: Int[Tensor, " R"]) -> "Rollout":
        return Rollout(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


class Notes:
    """Fills a rollout while it is sampled. What is seen of a token is worked out for many tokens at a time."""

    def __init__(self, policy: Policy, num_rows: int, length: int) -> None:
        self._rollout = empty_rollout(policy, num_rows, length)
        self._waiting: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        self._written: list[int] = []  # which of all rows that wait are noted
        self._num_waiting = 0

    @torch.no_grad()
    def add(
        self,
        t: int,
        rows: Int[Tensor, " R"],
        written: Sequence[int],
        logits: Float[Tensor, "R V"],
        token_ids: Int[Tensor, " R"],
    ) -> None:
        """Note token `t`, and the logits, divided by the temperature, it was drawn from, at the `written` places."""
        self._waiting.append((rows, torch.full_like(rows, t), logits, token_ids))
        self._written += [self._num_waiting + place for place in written]
        self._num_waiting += len(rows)
        if self._num_waiting * logits.shape[1] >= LOGITS_NOTED_AT_ONCE:
            self._work_out()

    def rollout(self, truncated: Int[Tensor, " R"]) -> Rollout:
        """Return what was sampled, without the columns that no completion reached; the given rows never ended."""
        self._work_out()
        self._rollout.is_truncated[truncated] = True
        return self._rollout.trimmed()

    @torch.no_grad()
    def _work_out(self) -> None:
        if not self._waiting:
            return
        written = torch.tensor(self._written, device=self._rollout.mask.device)
        rows, places, logits, token_ids = (torch.cat(parts)[written] for parts in zip(*self._waiting, strict=True))
        self._waiting, self._written, self._num_waiting = [], [], 0
        at, rollout = (rows, places), self._rollout
        rollout.token_ids[at], rollout.mask[at] = token_ids, torch.ones_like(token_ids, dtype=torch.bool)
        logps, entropy, top_ids, top_logps = seen(logits, token_ids, rollout.top_ids.shape[-1])
        rollout.logps[at], rollout.entropy[at] = logps, entropy
        rollout.top_ids[at], rollout.top_logps[at] = top_ids, top_logps


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
        is_truncated=torch.zeros(num_rows, dtype=torch.bool, device=device),
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
