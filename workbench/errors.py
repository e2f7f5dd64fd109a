"""Errors that are told to the user. Each carries one sentence that names what is wrong and what is allowed."""


class ConfigError(ValueError):
    """A setting that is fixed for a run (model, task, dataset, reward, preset) cannot be used."""


class KnobError(ValueError):
    """A knob does not exist, or its value is outside its range."""


class WriteError(OSError):
    """What a run leaves behind cannot be written: the disk is full, or the folder is gone."""


class DivergedError(ArithmeticError):
    """The policy's logits are no longer finite, so nothing can be sampled from it."""
