"""What transformers loads from a folder or the hub, with every failure told in one sentence."""

from collections.abc import Callable
from typing import Any

from transformers import AutoTokenizer

from workbench.errors import ConfigError


def load(owner: str, make: Callable[..., Any], source: Any, **options: Any) -> Any:
    """Return `make(source, …)`, one of transformers' from_…; raise ConfigError, naming the `owner`, if it fails."""
    try:
        return make(source, **options)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ConfigError(f"{owner} could not be loaded: {_first_line(error)}") from error


def load_padding_tokenizer(owner: str, location: str) -> Any:
    """Return the tokenizer, with the end token for padding where it has no padding token, as TRL makes it."""
    tokenizer = load(f"{owner}: its tokenizer", AutoTokenizer.from_pretrained, location)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token_id is None:
        raise ConfigError(f"{owner} cannot be padded: its tokenizer has neither a padding nor an end token")
    return tokenizer


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
