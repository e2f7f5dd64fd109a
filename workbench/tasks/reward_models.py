"""What a folder tells of a reward model before anything is loaded: a sequence-classification head with one label."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.errors import ConfigError

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt")
_NUM_LABELS_UNSAID = 2  # what transformers takes a config without labels to mean


def reward_model_name(name: str) -> str:
    """Return the name of a reward model's metric: the last part of its folder or hub id, as in TRL.

    >>> reward_model_name("org/helpful-reward")
    'helpful-reward'
    """
    return Path(name).name


def check_reward_model(name: str) -> None:
    """Raise ConfigError if the folder `name` holds no reward model. Of a hub id nothing is known until it is loaded."""
    folder = Path(name).expanduser()
    if not folder.is_dir():
        return
    config = _read_config(name, folder / "config.json")
    architectures = config.get("architectures") or ["none"]
    if not str(architectures[0]).endswith("ForSequenceClassification"):
        raise ConfigError(
            f"reward={name!r} has no sequence-classification head: its architecture is {architectures[0]}, "
            "and a reward model's ends in ForSequenceClassification"
        )
    num_labels = len(config.get("id2label") or ()) or config.get("num_labels", _NUM_LABELS_UNSAID)
    if num_labels != 1:
        raise ConfigError(f"reward={name!r} has {num_labels} labels; a reward model has one, whose logit is the reward")
    if not any((folder / file).exists() for file in _TOKENIZER_FILES):
        raise ConfigError(f"reward={name!r} has no tokenizer: save it into the folder with tokenizer.save_pretrained")


def _read_config(name: str, path: Path) -> Mapping[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"reward={name!r}: its config.json cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise ConfigError(f"reward={name!r}: its config.json holds no object")
    return config
