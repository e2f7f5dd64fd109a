import pytest

from workbench.errors import KnobError
from workbench.grpo import ADVANTAGE_ESTIMATORS, CLIPPED_LOSS_TYPES, KL_NAMES, LOSS_TYPES
from workbench.run.knobrules import _RULES, CLIPPED_LOSSES
from workbench.run.knobs import KnobBoard, Knobs, knob_spec

# Two knobs that cannot go together, and a word of the sentence that says why.
REFUSED = [
    ({"loss_type": "sapo", "delta": 4.0}, "does not clip"),
    ({"loss_type": "cispo"}, "caps the ratio at epsilon_high itself"),
    ({"loss_type": "vespo", "importance_sampling_level": "sequence"}, "weighs each sequence by itself"),
    ({"loss_type": "online", "importance_sampling_level": "sequence"}, "no ratio"),
    ({"top_entropy_quantile": 0.2, "importance_sampling_level": "sequence"}, "chooses single tokens"),
    ({"supervision": "process", "importance_sampling_level": "sequence"}, "every token its own advantage"),
    ({"supervision": "process", "advantage_estimator": "rloo"}, "must be 'grpo'"),
    ({"supervision": "process", "scale_rewards": "batch"}, "scale_rewards must be 'group'"),
    ({"supervision": "process", "kl_in": "reward"}, "rewards steps"),
    ({"advantage_estimator": "gdpo", "kl_in": "reward"}, "normalises each reward"),
    ({"advantage_estimator": "gdpo", "scale_rewards": "none"}, "scale_rewards must be 'group'"),
    ({"advantage_estimator": "pass_at_k", "pass_k": 9, "num_generations": 8}, "cannot be chosen"),
    ({"kl_estimator": "exact", "top_k": 5}, "whole vocabulary"),
    ({"kl_estimator": "exact", "top_p": 0.9}, "whole vocabulary"),
    ({"kl_estimator": "exact", "use_bias_correction_kl": True}, "samples none"),
    ({"kl_in": "reward", "use_bias_correction_kl": True}, "turn one of them off"),
    ({"supervision": "process", "max_num_gen_batches": 2}, "learn from them all the same"),
    ({"advantage_estimator": "gdpo", "max_num_gen_batches": 2}, "learn from them all the same"),
    ({"kl_in": "reward", "beta": 0.1, "max_num_gen_batches": 2}, "learn from them all the same"),
]


@pytest.mark.parametrize(("values", "why"), REFUSED, ids=lambda value: str(value)[:60])
def test_knobs_that_cannot_go_together_are_refused_with_the_reason(values, why):
    with pytest.raises(KnobError) as refused:
        Knobs(**values)
    sentence = str(refused.value)
    assert why in sentence and "{" not in sentence and "\n" not in sentence
    assert any(name in sentence for name in values)


@pytest.mark.parametrize(("values", "why"), REFUSED, ids=lambda value: str(value)[:60])
def test_each_of_them_alone_is_allowed(values, why):
    allowed = {"loss_type": "cispo", "epsilon_high": 5.0} if values == {"loss_type": "cispo"} else None
    if "pass_k" in values:
        allowed = values | {"num_generations": 9}
    for settings in [allowed] if allowed else [{k: v for k, v in values.items() if k != left} for left in values]:
        Knobs(**settings)


def test_every_rule_has_a_case():
    broken = [sum(is_broken(_unchecked(values)) for values, _ in REFUSED) for is_broken, _ in _RULES]
    assert all(broken)


def _unchecked(values):
    knobs = Knobs()
    for name, value in values.items():
        object.__setattr__(knobs, name, value)
    return knobs


def test_a_refused_combination_leaves_the_board_as_it_was():
    board = KnobBoard(Knobs(top_k=5))
    with pytest.raises(KnobError, match="whole vocabulary"):
        board.propose(beta=0.1, kl_estimator="exact")
    assert board.take() == Knobs(top_k=5)


def test_the_knobs_offer_what_the_formulas_know():
    """The knobs cannot import the formulas, which need torch: their lists are written twice and must agree."""
    assert set(knob_spec("loss_type").choices) == set(LOSS_TYPES)
    assert set(CLIPPED_LOSSES) == set(CLIPPED_LOSS_TYPES)
    assert set(knob_spec("advantage_estimator").choices) == set(ADVANTAGE_ESTIMATORS)
    assert set(knob_spec("kl_estimator").choices) == set(KL_NAMES)
