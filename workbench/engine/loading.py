"""What transformers loads from a folder or the hub, with every failure told in one sentence."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import AutoTokenizer
from transformers.utils import logging

from workbench.errors import ConfigError
from workbench.tasks.hub import downloaded_model, hub_answers


def load(owner: str, make: Callable[..., Any], source: Any, **options: Any) -> Any:
    """Return `make(source, …)`, one of transformers' from_…; raise ConfigError, naming the `owner`, if it fails."""
    try:
        with _quiet_where_quick(source):
            return make(_within_reach(source), **options)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ConfigError(f"{owner} could not be loaded: {_first_line(error)}") from error


def load_padding_tokenizer(owner: str, location: str) -> Any:
    """Return the tokenizer, with the end token for padding where it has no padding token, as TRL makes it."""
    tokenizer = load(f"{owner}: its tokenizer", AutoTokenizer.from_pretrained, location)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token_id is None:
        raise ConfigError(f"{owner} cannot be padded: its tokenizer has neither a padding nor an end token")
    return tokenizer


def _within_reach(source: Any) -> Any:
    """Return `source`; of a model of the hub that does not answer, the folder it was downloaded to before."""
    is_on_hub = isinstance(source, str) and not Path(source).is_dir()
    return downloaded_model(source) if is_on_hub and not hub_answers() else source


@contextmanager
def _quiet_where_quick(source: Any) -> Iterator[None]:
    """Within it transformers draws no progress bar on the terminal, unless it may have to download."""
    is_here = not isinstance(source, str | Path) or Path(source).is_dir()
    if not is_here or not logging.is_progress_bar_enabled():
        yield
        return
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
