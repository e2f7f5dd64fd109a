"""Every preset that is not a mistake trains the bundled model from the command line: soon more sums are right.

The seed is fixed, the steps are few. "Right" is the task's own truth on prompts drawn with another seed, whatever the
run was rewarded for.
"""

import json

import pytest

from workbench import Knobs, RunConfig
from workbench.__main__ import main
from workbench.engine.evaluate import evaluate
from workbench.run.metrics import METRICS
from workbench.run.presets import PRESETS

NUM_STEPS = 12
SAMPLING = Knobs(num_generations=8, max_completion_length=48)
TRAINED = [name for name, preset in PRESETS.items() if preset.group in ("algorithms", "neighbours")]


@pytest.fixture(scope="module")
def right_before():
    return evaluate(RunConfig(task="addition"), SAMPLING, None, num_prompts=32).right


@pytest.mark.parametrize("preset", TRAINED)
def test_a_preset_improves_the_policy_in_a_few_steps(preset, right_before, tmp_path, capsys):
    out = tmp_path / "run"
    flags = ["--preset", preset, "--steps", str(NUM_STEPS), "--seed", "0", "--out", str(out), "--json"]
    assert main(["train", *flags]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row.pop("step") for row in rows] == list(range(1, NUM_STEPS + 1))
    for row in rows:
        assert {name for name in row if name not in METRICS and not name.startswith("rewards/")} == set()
    after = evaluate(RunConfig(task="addition"), SAMPLING, out / "adapter", num_prompts=32)
    assert after.right > right_before + 0.05
