"""A workbench in which a person sees GRPO happen and steers it.

>>> from workbench import Knobs, RunConfig, Session
>>> session = Session(RunConfig(task="addition"), Knobs(num_generations=8))  # doctest: +SKIP
>>> for record in session.run(20):  # doctest: +SKIP
...     print(record.step, record.metrics["reward"])

Importing the package loads neither torch nor gradio; `Session` loads the engine when it first trains.
"""

from workbench.errors import ConfigError, KnobError
from workbench.run.config import RunConfig
from workbench.run.knobs import Knobs
from workbench.run.session import Session
from workbench.run.store import open_run

__version__ = "0.1.0"
__all__ = ["ConfigError", "KnobError", "Knobs", "RunConfig", "Session", "open_run"]
