"""One token at a time for many rows with our own forward pass; keys and values in buffers made once."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from workbench.engine.lean.functions import gated_silu, normed
from workbench.engine.lean.heads import Angles, heads
from workbench.engine.lean.weights import LeanLayer, LeanWeights
from workbench.engine.prompts import PromptBatch

Memory = tuple[Float[Tensor, "R K C D"], Float[Tensor, "R K C D"]]  # a layer's keys and values


class LeanDecoder:
    """Holds `logits`, the next token's for each of its rows. `advance` reads one token a row, `keep` drops rows.

    `room` is how many tokens will be read in each row.
    """

    logits: Float[Tensor, "R V"]

    @torch.no_grad()
    def __init__(self, weights: LeanWeights, prompts: PromptBatch, num_generations: int, room: int) -> None:
        num_prompts, longest = prompts.ids.shape
        self._weights = weights
        self._angles = Angles.of(weights, torch.arange(longest + room, device=prompts.ids.device))
        self._sees = F.pad(prompts.mask, (0, room), value=True) if prompts.has_padding else None
        self._num_read = 0
        self._memory = [self._empty_memory(num_prompts, longest) for _ in weights.layers]
        self._read(prompts.ids, prompts.positions)
        self._repeat(num_generations, room)
        self._next_position = (prompts.positions[:, -1] + 1).repeat_interleave(num_generations)

    @property
    def memory(self) -> list[Memory]:
        """What each layer knows of the tokens read so far, at the places 0, 1, 2 …; the room behind them is empty."""
        return self._memory

    @torch.no_grad()
    def advance(self, token_ids: Int[Tensor, " R"]) -> None:
        """Read one more token in every row."""
        self._read(token_ids[:, None], self._next_position[:, None])
        self._next_position += 1

    @torch.no_grad()
    def keep(self, stay: Int[Tensor, " K"]) -> Int[Tensor, " K"]:
        """Drop all but these rows, given in their order; return which row each one that is left was.

        The last ones take the places of those that leave, so that few are copied. `logits` are gone until `advance`.
        """
        count = len(stay)
        rows = torch.arange(count, device=stay.device)
        places, movers = rows[torch.isin(rows, stay, invert=True)], stay[stay >= count]
        used = slice(self._num_read)
        for part in (part for both in self._memory for part in both):
            part[places, :, used] = part[movers, :, used]
        self._memory = [(keys[:count], values[:count]) for keys, values in self._memory]
        rows[places] = movers
        self._next_position = self._next_position[rows]
        self._sees = None if self._sees is None else self._sees[rows]
        return rows

    def _empty_memory(self, num_rows: int, length: int) -> Memory:
        shape = (num_rows, self._weights.num_key_value_heads, length, self._weights.head_dim)
        return self._weights.embedding.new_empty(shape), self._weights.embedding.new_empty(shape)

    def _repeat(self, num_generations: int, room: int) -> None:
        """Give each prompt's memory to its G rows, with room for what they will read."""
        prompts, self._memory = self._memory, []
        for both in prompts:
            num_prompts, _, longest, _ = both[0].shape
            wider = self._empty_memory(num_prompts * num_generations, longest + room)
            for part, prompt in zip(wider, both, strict=True):
                part[:, :, :longest] = prompt.repeat_interleave(num_generations, dim=0)
            self._memory.append(wider)
        self.logits = self.logits.repeat_interleave(num_generations, dim=0)
        self._sees = None if self._sees is None else self._sees.repeat_interleave(num_generations, dim=0)

    def _read(self, ids: Int[Tensor, "R S"], positions: Int[Tensor, "R S"]) -> None:
        weights = self._weights
        x = F.embedding(ids.flatten(), weights.embedding)
        is_uniform = self._sees is None and ids.shape[1] == 1  # all rows are at the same position
        angles = self._angles.at(slice(self._num_read, self._num_read + 1) if is_uniform else positions.flatten())
        for layer, memory in zip(weights.layers, self._memory, strict=True):
            x = x + layer.out(self._attention(x, layer, memory, angles, len(ids)))
            x = x + layer.down(gated_silu(layer.gate_up(normed(x, layer.mlp_norm, weights.eps))))
        self._num_read += ids.shape[1]
        last = normed(x.view(*ids.shape, -1)[:, -1], weights.final_norm, weights.eps)
        self.logits = F.linear(last, weights.head).float()

    def _attention(
        self, x: Float[Tensor, "N I"], layer: LeanLayer, memory: Memory, angles: Angles, num_rows: int
    ) -> Float[Tensor, "N W"]:
        """Note the new keys and values, and return what each head gathers from all so far."""
        q, k, v = (
            part.view(num_rows, -1, *part.shape[1:]).transpose(1, 2) for part in heads(x, layer, self._weights, angles)
        )
        new = slice(self._num_read, self._num_read + k.shape[2])
        for part, value in zip(memory, (k, v), strict=True):
            part[:, :, new] = value
        keys, values = (part[:, :, : new.stop] for part in memory)
        sees = None if self._sees is None else self._sees[:, None, None, : new.stop]
        if q.shape[2] > 1:
            return _of_prompts(q, keys, values, sees)
        return _of_one_token(q, keys, values, sees)


def _of_prompts(q: Tensor, keys: Tensor, values: Tensor, sees: Tensor | None) -> Tensor:
    causal = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool, device=q.device).tril()
    # a padding token sees at least itself, or its numbers would be nan and spread
    mask = causal if sees is None else (causal & sees) | torch.eye(len(causal), dtype=torch.bool, device=q.device)
    seen = F.scaled_dot_product_attention(q, keys, values, attn_mask=mask, enable_gqa=q.shape[1] != keys.shape[1])
    return seen.transpose(1, 2).flatten(2).flatten(0, 1)


def _of_one_token(q: Tensor, keys: Tensor, values: Tensor, sees: Tensor | None) -> Tensor:
    """Attention with one query a row, as two batches of products: torch's own is slower where the rows are many."""
    num_rows, num_kv = keys.shape[:2]
    grouped = (q * q.shape[-1] ** -0.5).view(num_rows * num_kv, -1, q.shape[-1])
    scores = torch.bmm(grouped, keys.flatten(0, 1).transpose(1, 2))
    if sees is not None:
        scores = scores.view(num_rows, num_kv, -1, keys.shape[2]).masked_fill(~sees, float("-inf")).flatten(0, 1)
    return torch.bmm(scores.softmax(-1), values.flatten(0, 1)).view(num_rows, -1)
