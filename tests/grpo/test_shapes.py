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
