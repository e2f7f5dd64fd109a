"""Every preset that is not a mistake trains the bundled model: after a few steps from a fixed seed more sums are right.

"Right" is the task's own truth on prompts drawn with another seed, whatever the run was rewarded for.
"""

import pytest

from workbench import Knobs, RunConfig, Session
from workbench.engine.evaluate import evaluate
from workbench.run.metrics import METRICS
from workbench.run.presets import PRESETS, preset_settings

NUM_STEPS = 12
SAMPLING = Knobs(num_generations=8, max_completion_length=48)
TRAINED = [name for name, preset in PRESETS.items() if preset.group in ("algorithms", "neighbours")]


@pytest.fixture(scope="module")
def right_before():
    return evaluate(RunConfig(task="addition"), SAMPLING, None, num_prompts=32).right


@pytest.mark.parametrize("preset", TRAINED)
def test_a_preset_improves_the_policy_in_a_few_steps(preset, right_before, tmp_path):
    settings, knobs = preset_settings(preset)
    config = RunConfig.from_mapping(settings | {"seed": 0, "max_steps": NUM_STEPS})
    for record in Session(config, Knobs().changed(knobs), out=tmp_path / "run").run():
        unexplained = {name for name in record.metrics if name not in METRICS and not name.startswith("rewards/")}
        assert unexplained == set()
    after = evaluate(config, SAMPLING, tmp_path / "run" / "adapter", num_prompts=32)
    assert after.right > right_before + 0.05
