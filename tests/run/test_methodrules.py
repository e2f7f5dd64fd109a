from functools import partial

import pytest

from workbench.errors import KnobError
from workbench.run.check import check_knobs
from workbench.run.config import METHODS, RunConfig
from workbench.run.knobs import KnobBoard, Knobs, knob_specs
from workbench.run.methodrules import _RULES, UNUSED_KNOBS, check_together

REFUSED = [
    ({"method": "dpo"}, {}, "leaves no gradient"),
    ({"method": "sft"}, {"loss_type": "cispo", "epsilon_high": 5.0}, "say how tokens are averaged"),
    ({"method": "ppo"}, {"supervision": "process"}, "GRPO's advantages"),
    ({"method": "ppo"}, {"importance_sampling_level": "sequence"}, "every token its own advantage"),
    ({"method": "rft"}, {"entropy_coef": 0.1}, "has none"),
    ({"method": "online_rft"}, {"max_num_gen_batches": 2}, "learns from them all the same"),
    ({"method": "online_rft"}, {"off_policy_mask_threshold": 0.1}, "set it to none"),
    ({"method": "rft", "learn_reward": True}, {}, "policy gradient"),
    ({"learn_reward": True}, {"supervision": "process"}, "rewards steps"),
    ({"method": "ppo", "bug": "eos_not_in_mask"}, {}, "does not run that code"),
    ({"bug": "k1_as_loss"}, {}, "only where a reference pulls"),
    ({"bug": "k1_as_loss"}, {"beta": 0.1, "kl_in": "reward"}, "takes the KL out of it"),
    ({"bug": "temperature_forgotten"}, {}, "other than 1"),
    ({"bug": "ratio_inverted"}, {"loss_type": "online"}, "learns through the ratio"),
    ({"bug": "ratio_inverted"}, {"use_bias_correction_kl": True}, "of the surrogate alone"),
    ({"bug": "ratio_to_reference", "score_reference": False}, {}, "leaves it unscored"),
    ({"bug": "ratio_to_reference"}, {"loss_type": "online"}, "has none"),
    ({"bug": "batch_mean_baseline", "prompts_per_step": 1}, {}, "prompts_per_step above 1"),
    ({"bug": "batch_mean_baseline"}, {"advantage_estimator": "rloo"}, "take these"),
]


@pytest.mark.parametrize(("settings", "values", "why"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_does_not_suit_the_run_is_refused_with_the_reason(settings, values, why):
    with pytest.raises(KnobError, match=why) as refused:
        check_together(RunConfig(**settings), Knobs(**values))
    assert "{" not in str(refused.value)


def test_every_rule_has_a_case():
    cases = [(RunConfig(**settings), Knobs(**values)) for settings, values, _ in REFUSED]
    assert all(any(is_broken(config, knobs) for config, knobs in cases) for is_broken, _ in _RULES)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_runs_with_plain_knobs_and_leaves_only_known_ones_unused(method):
    check_together(RunConfig(method=method), Knobs(beta=0.1))
    assert set(UNUSED_KNOBS[method]) <= knob_specs().keys()


def test_process_supervision_needs_a_task_whose_steps_can_be_rewarded():
    check_knobs(RunConfig(task="addition"), Knobs(supervision="process"))
    with pytest.raises(KnobError, match="task='sorting' has none"):
        check_knobs(RunConfig(task="sorting"), Knobs(supervision="process"))


def test_a_board_refuses_in_the_run_what_it_would_have_refused_at_the_start():
    board = KnobBoard(Knobs(beta=0.1), check=partial(check_knobs, RunConfig(method="dpo")))
    with pytest.raises(KnobError, match="leaves no gradient"):
        board.propose(beta=0.0)
    assert board.take().beta == 0.1
