"""Token ids as text that can be shown one by one, also where a token is only part of a character."""

import re
from functools import cache
from typing import Any

from transformers import PreTrainedTokenizerBase

_REPLACEMENT = "\ufffd"


class Vocabulary:
    """Each id's visible text. Bytes that are not a character by themselves read like `<0xE5>`."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._texts: dict[int, str] = {}

    def __getitem__(self, token_id: int) -> str:
        if token_id not in self._texts:
            self._texts[token_id] = self._read(token_id)
        return self._texts[token_id]

    def _read(self, token_id: int) -> str:
        symbol: Any = self._tokenizer.convert_ids_to_tokens(token_id)
        if symbol is None:
            return f"<id {token_id}>"  # the model's table of embeddings is larger than the tokenizer's vocabulary
        text: Any = self._tokenizer.decode([token_id], skip_special_tokens=False, clean_up_tokenization_spaces=False)
        if symbol.startswith("▁") and not text.startswith(" "):
            return " " + text  # SentencePiece decoders drop the space in front of the first word
        return text if _REPLACEMENT not in text else _split_bytes(symbol)


def _split_bytes(symbol: str) -> str:
    """Return a byte-level symbol's bytes as text, those that form no character as `<0x..>`."""
    to_byte = _byte_of_symbol()
    if re.fullmatch(r"<0x[0-9A-F]{2}>", symbol) or any(character not in to_byte for character in symbol):
        return symbol
    raw = bytes(to_byte[character] for character in symbol)
    escaped = raw.decode("utf-8", errors="backslashreplace")
    return re.sub(r"\\x([0-9a-f]{2})", lambda found: f"<0x{found[1].upper()}>", escaped)


@cache
def _byte_of_symbol() -> dict[str, int]:
    """Return GPT-2's table of the printable characters that byte-level tokenizers write bytes with, inverted."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(others)}
