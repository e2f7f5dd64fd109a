import pytest
import torch

from workbench.grpo import CLIPPED_LOSS_TYPES, LOSS_TYPES, LossOptions, grpo_loss
from workbench.grpo.losstypes import LOGP_LOSS_TYPES, Tokens, token_surrogate

LOGPS = torch.tensor([[0.5, 0.5, 0.5]]).log()
OLD_LOGPS = torch.tensor([[0.0625, 0.5, 0.25]]).log()  # ratios 8, 1, 2: s = 16
MASK = torch.ones(1, 3)


def surrogate_of(loss_type, advantage=1.0, **options):
    tokens = Tokens(LOGPS, OLD_LOGPS, (LOGPS - OLD_LOGPS).exp(), torch.full((1, 3), advantage), MASK)
    return token_surrogate(tokens, LossOptions(loss_type=loss_type, **options))


@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_every_loss_type_has_a_surrogate(loss_type):
    assert surrogate_of(loss_type).value.isfinite().all()


def test_cispo_is_the_capped_ratio_times_the_logp_by_hand():
    surrogate = surrogate_of("cispo", advantage=-2.0, epsilon_high=5.0)
    torch.testing.assert_close(surrogate.value, torch.tensor([[5.0, 1.0, 2.0]]) * -2 * LOGPS)
    assert surrogate.outside_band.tolist() == [[True, False, False]]


def test_cispo_without_epsilon_high_takes_epsilon_as_its_cap():
    torch.testing.assert_close(surrogate_of("cispo", epsilon=0.3).gain, torch.full((1, 3), 0.3))


def test_vespo_is_phi_of_the_whole_completion_times_the_logp():
    phi = torch.tensor(16.0).square() * torch.tensor(3.0 * (1 - 16)).exp()
    torch.testing.assert_close(surrogate_of("vespo").value, phi * LOGPS)


def test_online_has_the_advantage_as_its_value():
    assert surrogate_of("online", advantage=-2.0).value.tolist() == [[-2.0, -2.0, -2.0]]


@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_only_the_clipped_types_and_cispo_have_a_band_to_leave(loss_type):
    has_band = loss_type in CLIPPED_LOSS_TYPES or loss_type == "cispo"
    assert surrogate_of(loss_type, epsilon_high=5.0).outside_band.any() == has_band


@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_at_sequence_level_a_token_moves_its_neighbours_unless_the_loss_is_in_log_pi(loss_type):
    logps = LOGPS.clone().requires_grad_()
    first = torch.tensor([[1.0, 0.0, 0.0]])
    options = {"max_completion_length": 3, "epsilon": 9.0}
    terms = grpo_loss(
        logps, OLD_LOGPS, None, first, MASK, loss_type=loss_type, importance_sampling_level="sequence", **options
    )
    terms.loss.backward()
    assert bool(logps.grad[0, 1:].any()) == (loss_type not in LOGP_LOSS_TYPES)
