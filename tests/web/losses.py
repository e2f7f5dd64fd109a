"""What `workbench.grpo` says of every loss, for the page's JavaScript: `python -m tests.web.losses` writes it anew."""

import inspect
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from workbench.grpo import grpo_loss
from workbench.run.knobs import Knobs

FIXTURE = Path(__file__).parent / "js" / "fixtures" / "losses.json"
RATIOS = [0.02, 0.3, 0.79, 0.81, 1.0, 1.1, 1.19, 1.21, 1.7, 2.9, 4.9, 5.1, 12.0]
SETTINGS: tuple[dict[str, Any], ...] = (
    {"loss_type": "grpo"},
    {"loss_type": "dapo", "epsilon": 0.1, "epsilon_high": 0.28, "delta": 3.0},
    {"loss_type": "luspo", "delta": 1.15},
    {"loss_type": "cispo", "epsilon_high": 5.0},
    {"loss_type": "sapo"},
    {"loss_type": "sapo", "sapo_temperature_pos": 3.0, "sapo_temperature_neg": 0.2},
    {"loss_type": "vespo"},
    {"loss_type": "vespo", "vespo_k_pos": 0.5, "vespo_lambda_pos": 0.0, "vespo_k_neg": 1.0, "vespo_lambda_neg": 4.0},
    {"loss_type": "online"},
)
PULLS: tuple[dict[str, Any], ...] = (
    {"loss_type": "grpo", "beta": 0.3, "kl_estimator": "k1"},
    {"loss_type": "bnpo", "beta": 0.3, "kl_estimator": "k2", "off_policy_mask_threshold": 0.0},
    {"loss_type": "dr_grpo", "beta": 0.3, "kl_estimator": "k3", "use_bias_correction_kl": True},
    {"loss_type": "grpo", "beta": 0.3, "importance_sampling_level": "sequence", "epsilon": 0.05},
    {"loss_type": "luspo", "importance_sampling_level": "sequence", "epsilon": 0.05},
    {"loss_type": "cispo", "beta": 0.3, "epsilon_high": 1.1},
    {"loss_type": "sapo", "beta": 0.3},
    {"loss_type": "vespo", "beta": 0.3},
    {"loss_type": "online", "beta": 0.3, "kl_estimator": "k1"},
)
_NOT_OF_LOSS = {"kl_in", "temperature", "top_p", "top_k", "learning_rate"}


def fixture() -> dict[str, Any]:
    """Return each setting's curve (value and gradient weight over the ratio), and groups with coefficients."""
    return {"curves": [curve(Knobs(**s), sign) for s in SETTINGS for sign in (1, -1)], "groups": [*map(group, PULLS)]}


def loss_options(knobs: Knobs) -> dict[str, Any]:
    names = inspect.signature(grpo_loss).parameters
    return {name: value for name, value in asdict(knobs).items() if name in names and name not in _NOT_OF_LOSS}


def curve(knobs: Knobs, sign: int) -> dict[str, Any]:
    """Return a loss at A = `sign` on completions of one token: value and −∂loss/∂log π, by autograd, one a ratio."""
    values, gains = [], []
    for ratio in RATIOS:
        logps = torch.tensor([[-0.5]], dtype=torch.float64, requires_grad=True)
        old = logps.detach() - torch.tensor(ratio, dtype=torch.float64).log()
        advantages = torch.tensor([float(sign)], dtype=torch.float64)
        mask = torch.ones(1, 1, dtype=torch.float64)
        terms = grpo_loss(logps, old, None, advantages, mask, **loss_options(knobs) | {"max_completion_length": 1})
        (gradient,) = torch.autograd.grad(terms.loss, logps)
        values.append(-terms.loss.item())
        gains.append(-gradient.item() * sign)
    return {"knobs": asdict(knobs), "sign": sign, "ratios": RATIOS, "values": values, "gains": gains}


def group(settings: dict[str, Any]) -> dict[str, Any]:
    """Return a group as the page gets it, made of random numbers, with its gradient coefficients from autograd."""
    knobs = Knobs(**settings | {"max_completion_length": 6})
    generator = torch.Generator().manual_seed(0)

    def noise(scale: float) -> Tensor:
        return scale * torch.randn(3, 4, generator=generator, dtype=torch.float64)

    old = -noise(1.0).abs() - 0.1
    logps, ref = (old + noise(0.25)).requires_grad_(), old + noise(0.4)
    advantages = torch.tensor([1.2, -0.7, -0.4], dtype=torch.float64)
    terms = grpo_loss(logps, old, ref, advantages, torch.ones(3, 4, dtype=torch.float64), **loss_options(knobs))
    (gradient,) = torch.autograd.grad(terms.loss, logps)
    rows = [
        {
            "length": 4,
            "advantage": advantages[i].item(),
            "old": old[i].tolist(),
            "ref": ref[i].tolist(),
            "logps": [logps[i].tolist()],
            "clipped": [_flags(terms.clipped[i])],
            "outside": [_flags(terms.outside_band[i])],
            "kept": [_flags(terms.kept[i])],
            "coefficients": [(-gradient[i]).tolist()],
            "entropy": [0.0] * 4,
            "weight": terms.weights[i, 0].item(),
        }
        for i in range(3)
    ]
    return {"method": "grpo", "knobs": asdict(knobs), "completions": rows}


def _flags(flags: Tensor) -> str:
    return "".join(str(int(flag)) for flag in flags)


if __name__ == "__main__":
    FIXTURE.parent.mkdir(exist_ok=True)
    FIXTURE.write_text(json.dumps(fixture()) + "\n")
