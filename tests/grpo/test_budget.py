import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.grpo import gradient_budget, gradient_parts, grpo_loss


def budget_of(terms, batch, **options):
    return gradient_budget(gradient_parts(terms, batch.logps, batch.ref_logps, batch.advantages, batch.mask, **options))


def test_the_four_parts_are_the_hand_computed_ones():
    # Ratios 2 and 1 in each row, so the first token is outside the band: cut for A = 1, live for A = -1. Weights 1/4.
    old_logps = torch.tensor([[0.25, 0.5], [0.25, 0.5]]).log()
    logps = torch.tensor([[0.5, 0.5], [0.5, 0.5]]).log()
    ref_logps = torch.tensor(
        [[0.5, 0.25], [0.5, 0.5]]
    ).log()  # one token is half as likely there: slope of k3 = 1 - 1/2
    advantages, mask = torch.tensor([1.0, -1.0]), torch.ones(2, 2)
    terms = grpo_loss(logps, old_logps, ref_logps, advantages, mask, beta=0.1)
    parts = gradient_parts(terms, logps, ref_logps, advantages, mask, beta=0.1)
    budget = gradient_budget(parts)
    torch.testing.assert_close(budget.push_up, torch.tensor(1 / 4))
    torch.testing.assert_close(budget.push_down, torch.tensor(2 / 4 + 1 / 4))
    torch.testing.assert_close(budget.lost_to_clip, torch.tensor(2 / 4))
    torch.testing.assert_close(budget.kl_pull, torch.tensor(0.1 * 0.5 / 4))
    by_row = gradient_budget(parts, by_row=True)
    torch.testing.assert_close(by_row.push_up, torch.tensor([1 / 4, 0.0]))
    torch.testing.assert_close(by_row.push_down, torch.tensor([0.0, 2 / 4 + 1 / 4]))
    torch.testing.assert_close(by_row.lost_to_clip, torch.tensor([2 / 4, 0.0]))
    torch.testing.assert_close(by_row.kl_pull, torch.tensor([0.1 * 0.5 / 4, 0.0]))


@given(data=st.data())
def test_at_token_level_the_parts_are_sums_of_w_r_abs_a_over_their_tokens(batches, loss_and_gradient, data):
    batch = data.draw(batches(max_log_ratio=5.0))
    terms, _ = loss_and_gradient(batch, delta=3.0)
    advantages = batch.advantages if batch.advantages.dim() == 2 else batch.advantages[:, None].expand_as(batch.logps)
    size = terms.weights * terms.ratio * advantages.abs()
    budget = budget_of(terms, batch)
    torch.testing.assert_close(budget.push_up, size[(advantages > 0) & ~terms.clipped].sum())
    torch.testing.assert_close(budget.push_down, size[(advantages < 0) & ~terms.clipped].sum())
    torch.testing.assert_close(budget.lost_to_clip, size[terms.clipped].sum())
    assert budget.kl_pull == 0


@given(data=st.data())
def test_without_a_clip_nothing_is_lost(batches, loss_and_gradient, data):
    batch = data.draw(batches(max_log_ratio=5.0))
    terms, _ = loss_and_gradient(batch, epsilon=1e9)
    assert budget_of(terms, batch).lost_to_clip == 0


def test_pulls_of_the_kl_in_opposite_directions_do_not_cancel():
    logps, ref_logps = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.25, 0.75]]).log()
    advantages, mask = torch.zeros(1), torch.ones(1, 2)
    terms = grpo_loss(logps, logps, ref_logps, advantages, mask, beta=1.0)
    parts = gradient_parts(terms, logps, ref_logps, advantages, mask, beta=1.0)
    torch.testing.assert_close(parts.kl_pull, torch.tensor([[-0.25, 0.25]]))  # half of 1 - 1/2, half of 1 - 3/2
    torch.testing.assert_close(gradient_budget(parts).kl_pull, torch.tensor(0.5))
