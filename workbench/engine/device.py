"""Where a run computes, and in which precision."""

import torch

from workbench.errors import ConfigError


def find_device(name: str) -> torch.device:
    """Return the device of that name; "auto" is CUDA where there is any. Raises ConfigError where there is none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device='cuda' cannot be used: torch sees no CUDA device here; use cpu or auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def find_dtype(name: str, device: torch.device) -> torch.dtype:
    """Return the precision of that name; "auto" is bfloat16 on CUDA, else float32."""
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]
