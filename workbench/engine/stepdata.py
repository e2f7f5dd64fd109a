"""Everything that one step computed, before it is written down."""

from collections.abc import Mapping
from dataclasses import dataclass

from workbench.engine.advantages import Advantages, Reference
from workbench.engine.batch import TokenBatch
from workbench.engine.collect import Samples
from workbench.engine.objective import Objective
from workbench.engine.ppo import CriticUpdates
from workbench.engine.update import Updates
from workbench.run.knobs import Knobs


@dataclass(frozen=True, eq=False)
class StepData:
    """The path of the data of one step, stage by stage."""

    step: int
    knobs: Knobs
    samples: Samples
    batch: TokenBatch
    reference: Reference
    advantages: Advantages
    objective: Objective
    updates: Updates
    critic: CriticUpdates | None
    memory: Mapping[str, int]
