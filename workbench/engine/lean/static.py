"""One decode step over tensors that keep their addresses: nothing in it asks the host, so a GPU can replay it.

The step reads its counters from tensors and counts them up itself. It computes what `sampling.py` and `rollout.py` do,
for a fixed number of rows: one that has ended goes on with padding, unseen.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.engine.drawing import NOT_FINITE, draw, likeliest, seen
from workbench.engine.lean.decoder import LeanDecoder, Memory
from workbench.engine.lean.functions import gated_silu, normed
from workbench.engine.lean.heads import Angles, heads
from workbench.engine.lean.weights import LeanLayer, LeanWeights
from workbench.engine.prompts import PromptBatch
from workbench.engine.rollout import NUM_ALTERNATIVES, Rollout
from workbench.errors import DivergedError


@dataclass(frozen=True, kw_only=True)
class StepPlan:
    """What a step is made for, and cannot change: the sizes of its tensors, and the numbers within its operations."""

    num_rows: int
    room: int  # tokens of a row, prompt and completion
    length: int  # most tokens of a completion
    temperature: float
    top_k: int
    top_p: float
    eos_ids: tuple[int, ...]
    pad_id: int


class StaticStep:
    """`start` reads prompts and draws each row's first token; each `advance` after it draws the next.

    `advance` does not wait for the device; `goes_on` and `rollout` do. It may be replaced by a replay of itself.
    The weights given first are kept: later ones are copied to where they are.
    """

    advance: Callable[[], object]

    @torch.no_grad()
    def __init__(self, weights: LeanWeights, plan: StepPlan) -> None:
        self._weights, self._plan = weights, plan
        self.advance = self._advance
        device, rows, length = weights.embedding.device, plan.num_rows, plan.length
        counter = torch.zeros(1, dtype=torch.long, device=device)
        self._slots = torch.arange(plan.room, device=device)
        self._angles = Angles.of(weights, self._slots)
        memory = (rows, weights.num_key_value_heads, plan.room, weights.head_dim)
        self._memory: list[Memory] = [
            (weights.embedding.new_zeros(memory), weights.embedding.new_zeros(memory)) for _ in weights.layers
        ]
        self._eos_ids = torch.tensor(plan.eos_ids, device=device)
        self._num_padding = counter.repeat(rows)  # at the left of the prompt
        self._positions, self._token_ids = counter.repeat(rows), counter.repeat(rows)  # of the tokens to be read
        self._column, self._t = counter, counter.clone()  # the slot they go to, and the place of the next ones drawn
        self._is_written = torch.zeros(rows, dtype=torch.bool, device=device)  # those rows that have not ended
        self._is_finite = torch.ones(1, dtype=torch.bool, device=device)
        self._chances = torch.zeros(length, rows, dtype=torch.float64, device=device)
        alternatives = (length, rows, min(NUM_ALTERNATIVES, len(weights.head)))
        self._notes = {
            "token_ids": torch.zeros(length, rows, dtype=torch.long, device=device),
            "mask": torch.zeros(length, rows, dtype=torch.bool, device=device),
            "logps": torch.zeros(length, rows, device=device),
            "entropy": torch.zeros(length, rows, device=device),
            "top_ids": torch.zeros(alternatives, dtype=torch.long, device=device),
            "top_logps": torch.zeros(alternatives, device=device),
        }

    @torch.no_grad()
    def start(
        self,
        weights: LeanWeights,
        prompts: PromptBatch,
        num_generations: int,
        chances: Float[Tensor, "T R"],
    ) -> None:
        """Read the prompts with these weights, give each its G rows, and draw a token for each with its own chance.

        Rows that are left over have ended from the start.
        """
        _copy_weights(weights, self._weights)
        longest, num_rows = prompts.ids.shape[1], chances.shape[1]
        decoder = LeanDecoder(self._weights, prompts, 1, 0)
        for buffers, parts in zip(self._memory, decoder.memory, strict=True):
            for buffer, part in zip(buffers, parts, strict=True):
                buffer.zero_()
                buffer[:num_rows, :, :longest] = part.repeat_interleave(num_generations, dim=0)
        lengths = prompts.mask.sum(1).repeat_interleave(num_generations)
        for buffer, values in ((self._num_padding, longest - lengths), (self._positions, lengths)):
            buffer.zero_()[:num_rows] = values
        self._chances.zero_()[: len(chances), :num_rows] = chances
        self._is_written.zero_()[:num_rows] = True
        self._is_finite.fill_(True)
        self._notes["mask"].zero_()
        self._column.fill_(longest)
        self._t.zero_()
        left_over = self._plan.num_rows - num_rows
        self._draw(F.pad(decoder.logits.repeat_interleave(num_generations, dim=0), (0, 0, 0, left_over)))

    def goes_on(self) -> bool:
        """Return whether any row has not ended. Raises DivergedError if logits were not finite."""
        goes_on, is_finite = torch.stack([self._is_written.any(), self._is_finite[0]]).tolist()
        if not is_finite:
            raise DivergedError(NOT_FINITE)
        return goes_on

    def rollout(self, num_rows: int) -> Rollout:
        """Return what was sampled in the first rows, without the places that no completion reached."""
        mask = self._notes["mask"][:, :num_rows].t()
        longest = int(mask.sum(1).amax())
        padding = ~mask[:, :longest]
        kept = {name: note[:longest, :num_rows].transpose(0, 1).contiguous() for name, note in self._notes.items()}
        return Rollout(
            token_ids=kept["token_ids"].masked_fill(padding, self._plan.pad_id),
            mask=~padding,
            logps=kept["logps"].masked_fill(padding, 0.0),
            entropy=kept["entropy"].masked_fill(padding, 0.0),
            top_ids=kept["top_ids"].masked_fill(padding[..., None], 0),
            top_logps=kept["top_logps"].masked_fill(padding[..., None], 0.0),
            is_truncated=self._is_written[:num_rows].clone(),
        )

    @torch.no_grad()
    def _advance(self) -> None:
        logits = self._read()
        self._column += 1
        self._positions += 1
        self._draw(logits)

    def _read(self) -> Float[Tensor, "R V"]:
        weights = self._weights
        x = F.embedding(self._token_ids, weights.embedding)
        angles = self._angles.at(self._positions)
        is_hidden = (self._slots < self._num_padding[:, None]) | (self._slots > self._column)
        for layer, memory in zip(weights.layers, self._memory, strict=True):
            x = x + layer.out(self._attention(x, layer, memory, angles, is_hidden[:, None, None]))
            x = x + layer.down(gated_silu(layer.gate_up(normed(x, layer.mlp_norm, weights.eps))))
        return F.linear(normed(x, weights.final_norm, weights.eps), weights.head).float()

    def _attention(
        self, x: Float[Tensor, "R I"], layer: LeanLayer, memory: Memory, angles: Angles, is_hidden: Bool[Tensor, "..."]
    ) -> Float[Tensor, "R W"]:
        """Note the new key and value, and return what each head gathers from the whole buffer but what is hidden."""
        q, k, v = heads(x, layer, self._weights, angles)
        for buffer, value in zip(memory, (k, v), strict=True):
            buffer.index_copy_(2, self._column, value[:, :, None])
        keys, values = memory
        grouped = q.reshape(len(q), k.shape[1], -1, q.shape[-1]) * q.shape[-1] ** -0.5
        scores = (grouped @ keys.transpose(-1, -2)).masked_fill_(is_hidden, float("-inf"))
        return (scores.softmax(-1) @ values).view(len(q), -1)

    def _draw(self, logits: Float[Tensor, "R V"]) -> None:
        """Draw a token for each row, and note it with what was seen of it."""
        plan, is_written = self._plan, self._is_written
        logits = logits / plan.temperature
        probabilities = logits.softmax(-1)
        self._is_finite &= (probabilities[:, 0].isfinite() | ~is_written).all()
        chances = self._chances.index_select(0, self._t)[0]
        drawn = draw(likeliest(probabilities, plan.top_k, plan.top_p), chances)
        drawn = drawn.clamp(max=logits.shape[1] - 1)  # where nothing is finite it would be no token
        logps, entropy, top_ids, top_logps = seen(logits, drawn, self._notes["top_ids"].shape[-1])
        self._note(token_ids=drawn, mask=is_written, logps=logps)
        self._note(entropy=entropy, top_ids=top_ids, top_logps=top_logps)
        self._token_ids.copy_(drawn.masked_fill(~is_written, plan.pad_id))
        is_written &= (drawn[:, None] != self._eos_ids).all(1)
        self._t += 1

    def _note(self, **values: Int[Tensor, "R ..."] | Bool[Tensor, "R ..."] | Float[Tensor, "R ..."]) -> None:
        for name, value in values.items():
            self._notes[name].index_copy_(0, self._t, value[None])


def _copy_weights(weights: LeanWeights, target: LeanWeights) -> None:
    """Copy what the adapter changes to where the target's is."""
    for layer, own in zip(weights.layers, target.layers, strict=True):
        for name in ("qkv", "out", "gate_up", "down"):
            getattr(own, name).take(getattr(layer, name))
