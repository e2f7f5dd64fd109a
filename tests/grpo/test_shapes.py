import subprocess
import sys

import pytest
import torch
from jaxtyping import TypeCheckError

from workbench.grpo import grpo_loss


def test_a_wrong_shape_is_caught_when_shapes_are_checked(pytestconfig):
    if "workbench.grpo" not in (pytestconfig.getoption("jaxtyping_packages") or ""):
        pytest.skip("run with --jaxtyping-packages=workbench.grpo,beartype.beartype")
    logps = torch.zeros(2, 3)
    with pytest.raises(TypeCheckError):
        grpo_loss(logps, torch.zeros(2, 4), None, torch.zeros(2), torch.ones(2, 3))


UNCHECKED = """
import torch
from workbench.grpo import estimate_advantages, grpo_loss, high_entropy_mask

logps, mask, advantages = torch.zeros(3, 2), torch.ones(3, 2), torch.ones(3)
given = {"logps": logps, "old_logps": logps, "ref_logps": logps, "advantages": advantages, "mask": mask}
wrong = {"mask": mask[:1], "old_logps": logps[:1, :1], "ref_logps": logps[:1], "advantages": advantages[:1]}
for name, values in wrong.items():
    try:
        grpo_loss(**given | {name: values}, beta=0.1)
    except ValueError as error:
        print(error)
calls = (
    lambda: grpo_loss(**given | {"advantages": advantages[:, None]}),
    lambda: estimate_advantages(torch.ones(4, 3), torch.ones(1), 2),
    lambda: high_entropy_mask(torch.ones(3, 1), mask, 0.5),
)
for call in calls:
    try:
        call()
    except ValueError as error:
        print(error)
"""


def test_a_row_is_not_taken_for_every_row_where_shapes_are_not_checked():
    done = subprocess.run([sys.executable, "-c", UNCHECKED], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "a tensor has the shape [3, 2], and its mask [1, 2]",
        "a tensor has the shape [1, 1], and its mask [3, 2]",
        "a tensor has the shape [1, 2], and its mask [3, 2]",
        "there are 1 advantages for 3 completions",
        "there are 1 advantages a completion for 2 tokens",
        "there are 1 weights for 3 reward functions",
        "a tensor has the shape [3, 1], and its mask [3, 2]",
    ]
