"""Where a model lives: the bundled one by name, a local folder, or a hub id."""

import re
from pathlib import Path

from workbench.errors import ConfigError

BUNDLED = {"tiny": Path(__file__).parent / "tiny"}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def model_location(model: str) -> str:
    """Return what transformers loads `model` from; raise ConfigError if it is not bundled, a folder or a hub id.

    A folder that exists wins over a hub id of the same spelling; something that is written like a path but is no folder
    is refused without asking the hub.
    """
    if model in BUNDLED:
        return str(BUNDLED[model])
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").exists():
            raise ConfigError(f"model={model!r} is a folder without config.json: it holds no transformers model")
        return str(folder)
    looks_like_a_path = model.startswith((".", "/", "~")) or "\\" in model or model.count("/") > 1
    if looks_like_a_path or not _HUB_ID.fullmatch(model) or "/" not in model:
        raise ConfigError(
            f"model={model!r} is not there: give a bundled name ({', '.join(BUNDLED)}), a folder, "
            "or a hub id such as org/name"
        )
    return model
