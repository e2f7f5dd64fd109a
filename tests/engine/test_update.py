import pytest
import torch

from tests.engine.arrays import adapter_of, finish, sample_batch
from workbench.engine.objective import PolicyGradient
from workbench.engine.scoring import score, score_reference
from workbench.engine.update import update_policy
from workbench.grpo import batch_weights, group_advantages, grpo_loss
from workbench.run.knobs import Knobs
from workbench.run.record import Progress

SAMPLING = Knobs(num_generations=4, max_completion_length=10, temperature=0.8)

PLAIN = [(), ("folded_update",), ("lean_model",), ("lean_model", "folded_update")]


class Case:
    """A policy, a batch that it sampled, and everything that an update needs."""

    def __init__(self, make_policy, folder=None, **settings) -> None:
        knobs = SAMPLING
        self.policy = make_policy(folder, **settings)
        self.knobs = knobs
        self.batch = sample_batch(self.policy, knobs)
        self.optimizer = torch.optim.AdamW(self.policy.trainable, weight_decay=0.0)
        rewards = torch.rand(len(self.batch.mask), generator=torch.Generator().manual_seed(3))
        self.advantages = group_advantages(rewards, knobs.num_generations)
        self.ref_logps = score_reference(self.policy, self.batch, 64)
        with torch.no_grad():
            self.entropies = score(self.policy, self.batch).entropy

    def update(self, micro_batch_size: int = 64, max_grad_norm: float = 1e6, **changes):
        return finish(self.stages(micro_batch_size, max_grad_norm, **changes))

    def stages(self, micro_batch_size: int = 64, max_grad_norm: float = 1e6, **changes):
        knobs = self.knobs.changed(changes)
        weights = batch_weights(
            knobs.loss_type,
            self.batch.loss_mask,
            max_completion_length=knobs.max_completion_length,
            entropies=self.entropies,
            top_entropy_quantile=knobs.top_entropy_quantile,
        )
        return update_policy(
            self.policy,
            self.optimizer,
            self.batch,
            PolicyGradient(self.advantages, self.ref_logps, self.batch, weights, knobs),
            knobs,
            step=1,
            micro_batch_size=micro_batch_size,
            max_grad_norm=max_grad_norm,
        )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("micro_batch_size", [1, 3, 64])
@pytest.mark.parametrize("plain_paths", PLAIN)
def test_the_ratio_is_exactly_1_at_the_first_inner_update_and_leaves_1_at_the_second(
    make_policy, any_folder, dtype, micro_batch_size, plain_paths
):
    case = Case(make_policy, any_folder, dtype=dtype, plain_paths=plain_paths)
    updates = case.update(micro_batch_size, num_iterations=3, learning_rate=1e-2)
    ratios = [update.terms.ratio for update in updates.inner]
    assert (ratios[0] == 1).all()
    for ratio in ratios[1:]:
        assert (ratio[case.batch.mask] != 1).float().mean() > 0.5
        assert (ratio[~case.batch.mask] == 1).all()
    assert torch.equal(updates.old_logps, updates.inner[0].logps)


WAYS = [
    {"loss_type": "grpo"},
    {"loss_type": "bnpo", "importance_sampling_level": "sequence"},
    {"loss_type": "dr_grpo", "use_bias_correction_kl": True},
    {"loss_type": "dapo", "off_policy_mask_threshold": 0.0},
    {"loss_type": "cispo", "epsilon_high": 5.0, "top_entropy_quantile": 0.3},
    {"loss_type": "sapo", "kl_estimator": "exact"},
    {"loss_type": "luspo", "importance_sampling_level": "sequence", "entropy_coef": 0.1},
    {"loss_type": "vespo", "entropy_coef": 0.1, "top_entropy_quantile": 0.3},
    {"loss_type": "online"},
]


@pytest.mark.parametrize("plain_paths", PLAIN)
@pytest.mark.parametrize("ways", WAYS, ids=lambda ways: ways["loss_type"])
def test_the_micro_batch_size_never_changes_the_update(make_policy, ways, plain_paths):
    """SGD, so that what is compared is the gradient and not its sign."""
    after, losses = [], []
    for micro_batch_size in (1, 3, 64):
        case = Case(make_policy, plain_paths=plain_paths)
        case.optimizer = torch.optim.SGD(case.policy.trainable)
        changes = {"beta": 0.1, "learning_rate": 0.5} | ways
        before = adapter_of(case.policy)
        updates = case.update(micro_batch_size, num_iterations=2, **changes)
        after.append(adapter_of(case.policy) - before)
        losses.append(torch.stack([update.terms.loss for update in updates.inner]))
    largest = after[0].abs().max()
    assert largest > 1e-4
    for other, loss in zip(after[1:], losses[1:], strict=True):
        torch.testing.assert_close(other / largest, after[0] / largest, atol=5e-6, rtol=1e-4)
        torch.testing.assert_close(loss, losses[0], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("plain_paths", PLAIN)
def test_the_fused_optimizer_moves_the_weights_as_the_plain_one_does(make_policy, any_folder, dtype, plain_paths):
    """It reads a gradient's memory as it lies, whatever its strides say."""
    after = []
    for fused in (True, False):
        case = Case(make_policy, any_folder, dtype=dtype, plain_paths=plain_paths)
        case.optimizer = torch.optim.AdamW(case.policy.trainable, weight_decay=0.0, fused=fused)
        case.update(num_iterations=1, learning_rate=1e-2)
        after.append(adapter_of(case.policy))
    torch.testing.assert_close(after[0], after[1], atol=1e-6, rtol=1e-5)


def test_the_update_is_the_gradient_of_the_loss_of_the_whole_batch(make_policy):
    """The second route: one call of `grpo_loss` on everything, its gradient by autograd, one step of SGD by hand."""
    case = Case(make_policy)
    logps = score(case.policy, case.batch).logps
    mask, knobs = case.batch.mask, case.knobs
    terms = grpo_loss(logps, logps.detach(), case.ref_logps, case.advantages, mask, beta=0.1)
    gradients = torch.autograd.grad(terms.loss, case.policy.trainable)
    expected = [weight.detach() - 0.5 * g for weight, g in zip(case.policy.trainable, gradients, strict=True)]
    case.optimizer = torch.optim.SGD(case.policy.trainable)
    [update] = case.update(3, learning_rate=0.5, beta=0.1).inner
    for weight, wanted in zip(case.policy.trainable, expected, strict=True):
        torch.testing.assert_close(weight.detach(), wanted, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(update.terms.loss, terms.loss.detach(), atol=1e-6, rtol=1e-5)
    norm = torch.cat([g.flatten() for g in gradients]).norm()
    torch.testing.assert_close(update.grad_norm, norm, atol=1e-6, rtol=1e-4)
    assert knobs.num_iterations == 1


def test_the_gradient_is_scaled_down_to_the_largest_norm_and_the_true_norm_is_told(make_policy):
    case = Case(make_policy)
    case.optimizer = torch.optim.SGD(case.policy.trainable)
    before = adapter_of(case.policy)
    [update] = case.update(max_grad_norm=1e-3, learning_rate=1.0).inner
    moved = (adapter_of(case.policy) - before).norm()
    assert update.grad_norm > 1e-2
    assert abs(moved.item() - 1e-3) < 1e-5


def test_the_learning_rate_is_the_knobs_and_0_moves_nothing(make_policy):
    case = Case(make_policy)
    before = adapter_of(case.policy)
    case.update(learning_rate=0.0, num_iterations=2)
    assert torch.equal(adapter_of(case.policy), before)
    case.update(learning_rate=3e-3)
    moved = (adapter_of(case.policy) - before).abs().max()
    assert 1e-3 < moved < 4e-3, "AdamW's early steps are about as long as the learning rate"


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_leaves_the_weights_as_they_were_and_is_told(make_policy, poison):
    case = Case(make_policy)
    before = adapter_of(case.policy)
    good = case.advantages.clone()
    case.advantages[0] = poison
    updates = case.update(num_iterations=2, learning_rate=1e-2)
    assert torch.equal(adapter_of(case.policy), before)
    assert not any(update.grad_norm.isfinite() for update in updates.inner)
    assert all(weight.grad is None for weight in case.policy.trainable)
    case.advantages = good
    [update] = case.update(learning_rate=1e-2).inner
    assert update.grad_norm.isfinite() and not torch.equal(adapter_of(case.policy), before)


def test_without_advantages_and_without_kl_nothing_moves(make_policy):
    case = Case(make_policy)
    case.advantages = torch.zeros_like(case.advantages)
    before = adapter_of(case.policy)
    [update] = case.update(learning_rate=1e-2).inner
    assert update.grad_norm == 0 and update.terms.loss == 0
    assert torch.equal(adapter_of(case.policy), before)
    case.update(learning_rate=1e-2, beta=0.1)
    assert not torch.equal(adapter_of(case.policy), before), "the KL alone pulls"


def test_padding_is_recorded_as_ratio_1_and_zeros(make_policy):
    case = Case(make_policy)
    padding = ~case.batch.mask
    assert padding.any()
    for update in case.update(num_iterations=2, learning_rate=1e-2, beta=0.1).inner:
        assert (update.terms.ratio[padding] == 1).all()
        for values in (update.logps, update.entropy, update.terms.kl, update.terms.weights):
            assert (values[padding] == 0).all()
        assert not update.terms.clipped[padding].any() and not update.terms.outside_band[padding].any()


def test_progress_comes_after_each_inner_update(make_policy):
    events = list(Case(make_policy).stages(num_iterations=3))
    assert events == [Progress(1, "update", k, 3) for k in (1, 2, 3)]
