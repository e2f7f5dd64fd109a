import inspect
from dataclasses import fields

import pytest
import torch

from workbench.grpo import LossOptions, gradient_parts, grpo_loss


def test_the_options_are_the_keywords_of_the_loss_with_the_same_defaults():
    keywords = inspect.signature(grpo_loss).parameters.values()
    of_loss = {p.name: p.default for p in keywords if p.kind == p.KEYWORD_ONLY}
    tensors = {"entropies", "exact_kl", "weights"}
    assert {f.name: f.default for f in fields(LossOptions)} == {n: d for n, d in of_loss.items() if n not in tensors}
    assert tensors <= inspect.signature(gradient_parts).parameters.keys()


def test_every_option_reaches_the_formulas_under_its_own_name():
    """Each changed alone changes the loss, on a batch where it should: no keyword is passed on as another."""
    generator = torch.Generator().manual_seed(1)
    shape = (6, 4)
    logps = -torch.rand(shape, generator=generator)
    old_logps, ref_logps = (logps - 0.5 * torch.randn(2, *shape, generator=generator)).unbind()
    advantages = torch.tensor([1.0, -1.0, 0.5, -2.0, 1.5, -0.5])
    entropies, mask = (
        torch.rand(shape, generator=generator),
        torch.arange(4) < torch.tensor([[4], [2], [3], [4], [1], [4]]),
    )

    def loss(**options):
        options = {"beta": 0.1, "max_completion_length": 7, "entropies": entropies} | options
        return grpo_loss(logps, old_logps, ref_logps, advantages, mask, **options).loss.item()

    changes = {
        "grpo": {
            "beta": 0.2,
            "epsilon": 0.1,
            "epsilon_high": 0.05,
            "delta": 1.1,
            "importance_sampling_level": "sequence",
            "kl_estimator": "k1",
            "use_bias_correction_kl": True,
            "off_policy_mask_threshold": 0.0,
            "top_entropy_quantile": 0.5,
            "entropy_coef": 0.3,
            "loss_type": "dapo",
        },
        "dr_grpo": {"max_completion_length": 9},
        "sapo": {"sapo_temperature_pos": 0.5, "sapo_temperature_neg": 0.5},
        "vespo": {"vespo_k_pos": 0.5, "vespo_lambda_pos": 0.5, "vespo_k_neg": 0.5, "vespo_lambda_neg": 0.5},
    }
    seen = {loss_type: loss(loss_type=loss_type) for loss_type in changes}
    losses = [loss(**{"loss_type": kind} | {name: new}) for kind, each in changes.items() for name, new in each.items()]
    assert len({*seen.values(), *losses}) == len(seen) + len(losses)
    assert {name for each in changes.values() for name in each} == {f.name for f in fields(LossOptions)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss_type": "ppo"}, r"loss_type='ppo' is none of grpo.*online"),
        ({"kl_estimator": "exact", "use_bias_correction_kl": True}, r"kl_estimator='exact' cannot go with.*no sample"),
        ({"epsilon": float("nan")}, r"epsilon=nan is not at least 0"),
        ({"delta": -1.0}, r"delta=-1\.0 is not at least 0"),
        ({"loss_type": "dr_grpo", "max_completion_length": 0}, r"max_completion_length=0 is not at least 1"),
        ({"loss_type": "sapo", "sapo_temperature_pos": float("nan")}, r"sapo_temperature_pos=nan is not above 0"),
    ],
)
def test_what_is_unknown_or_does_not_go_together_is_refused_in_one_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        LossOptions(**options)


def test_the_temperatures_of_sapo_bind_no_other_loss_type():
    assert LossOptions(sapo_temperature_pos=0.0).loss_type == "grpo"
