"""What TRL's `_compute_loss` logs, against the functions that say which tokens it counts."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.grpo import CLIPPED_LOSS_TYPES, LOSS_TYPES, cispo_clip, clip_flags, vespo_phi

LEVELS = ["token", "sequence"]
CLIPS = [{}, {"epsilon": 0.1, "epsilon_high": 0.28}, {"epsilon_high": 0.28, "delta": 4.0}, {"delta": 1.1}]


def of_rows(flags, mask):
    """Return one flag a completion, from tokens that have the same; padding alone speaks where there is no token."""
    return torch.where(mask.any(dim=1), (flags & mask).any(dim=1), flags[:, 0]).double()


def token_mean(values, mask):
    return ((values * mask).sum() / mask.sum().clamp(min=1)).item()


class Averages:
    """TRL's two averages: over tokens, or over completions where each has but one value."""

    def __init__(self, batch, level):
        self.mask = batch.mask
        self.is_row_metric = level == "sequence" and batch.advantages.dim() == 1

    def mean(self, flags):
        if self.is_row_metric:
            return of_rows(flags, self.mask).mean().item()
        return token_mean(flags.double(), self.mask)

    def per_row(self, flags):
        if self.is_row_metric:
            return of_rows(flags, self.mask)
        shares = (flags & self.mask).sum(dim=1) / self.mask.sum(dim=1)
        return shares[~shares.isnan()]


def draw_options(data, loss_type, level):
    clip = data.draw(st.sampled_from(CLIPS))
    masks = data.draw(st.sampled_from([{}, {"off_policy_mask_threshold": 0.1, "top_entropy_quantile": 0.5}]))
    return {"loss_type": loss_type, "importance_sampling_level": level} | clip | masks


@pytest.mark.parametrize("level", LEVELS)
@settings(max_examples=30)
@given(
    data=st.data(),
    loss_type=st.sampled_from([name for name in LOSS_TYPES if name != "online"]),
    use_bias_correction_kl=st.booleans(),
)
def test_kl_entropy_and_policy_loss_are_trls(
    batches, loss_and_gradient, trl_loss, data, level, loss_type, use_bias_correction_kl
):
    # TRL takes T = 1 for one value a row, and drops the mask: hence two tokens at least, here and below
    batch = data.draw(batches(min_tokens=2, max_log_ratio=5.0))
    options = draw_options(data, loss_type, level)
    options |= {"beta": 0.1, "entropy_coef": 0.1, "use_bias_correction_kl": use_bias_correction_kl}
    terms, _ = loss_and_gradient(batch, **options)
    metrics = trl_loss(batch, **options).metrics
    ours = [
        token_mean(terms.kl, batch.mask),
        token_mean(batch.entropies, batch.mask),
        (terms.loss + terms.entropy_bonus).item(),
        0.1,
    ]
    names = ["kl", "entropy", "policy_loss", "entropy_coef"]
    assert ours == pytest.approx([metrics[name] for name in names], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("level", LEVELS)
@settings(max_examples=50)
@given(data=st.data(), loss_type=st.sampled_from(CLIPPED_LOSS_TYPES))
def test_clip_ratio_is_trls(batches, loss_and_gradient, trl_loss, data, level, loss_type):
    batch = data.draw(batches(min_tokens=2, max_log_ratio=5.0))
    options = draw_options(data, loss_type, level)
    terms, _ = loss_and_gradient(batch, **options)
    metrics = trl_loss(batch, **options).metrics
    clip = {name: options[name] for name in ("epsilon", "epsilon_high", "delta") if name in options}
    low, high = clip_flags(loss_type, terms.ratio, batch.advantages, **clip)
    averages = Averages(batch, level)
    ours = [averages.mean(low), averages.mean(high), averages.mean(low | high)]
    names = ["clip_ratio/low_mean", "clip_ratio/high_mean", "clip_ratio/region_mean"]
    if batch.mask.any():
        ours += [averages.per_row(low).min().item(), averages.per_row(high).max().item()]
        names += ["clip_ratio/low_min", "clip_ratio/high_max"]
    assert ours == pytest.approx([metrics[name] for name in names], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("level", LEVELS)
@settings(max_examples=30)
@given(data=st.data(), epsilon_high=st.sampled_from([None, 0.2, 1.0, 5.0]))
def test_cispo_clip_ratio_is_trls(batches, loss_and_gradient, trl_loss, data, level, epsilon_high):
    batch = data.draw(batches(min_tokens=2, max_log_ratio=5.0))
    options = {"loss_type": "cispo", "importance_sampling_level": level, "epsilon_high": epsilon_high}
    terms, _ = loss_and_gradient(batch, **options)
    flags = cispo_clip(terms.ratio, batch.advantages, 0.2 if epsilon_high is None else epsilon_high)
    theirs = trl_loss(batch, **options).metrics["cispo_clip_ratio"]
    assert Averages(batch, level).mean(flags) == pytest.approx(theirs, rel=1e-6, abs=1e-9)


@settings(max_examples=50)
@given(data=st.data(), k_pos=st.sampled_from([2.0, 0.5]), lambda_neg=st.sampled_from([2.0, 0.0]))
def test_the_mean_phi_is_trls(batches, trl_loss, data, k_pos, lambda_neg):
    batch = data.draw(batches(min_tokens=2, max_log_ratio=3.0))
    metrics = trl_loss(batch, loss_type="vespo", vespo_k_pos=k_pos, vespo_lambda_neg=lambda_neg).metrics
    phi = vespo_phi(batch.logps, batch.old_logps, batch.advantages, batch.mask, k_pos=k_pos, lambda_neg=lambda_neg)
    ours = phi.mean().item() if phi.dim() == 1 else token_mean(phi, batch.mask)
    assert ours == pytest.approx(metrics["vespo/phi_seq_mean"], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("loss_type", [name for name in LOSS_TYPES if name != "online"])
def test_trl_logs_a_clip_ratio_for_exactly_the_types_that_have_clip_flags(batches, trl_loss, loss_type):
    ones = torch.ones(2, 2, dtype=torch.float64)
    batch = type("Batch", (), {})()
    batch.logps, batch.old_logps, batch.ref_logps, batch.entropies = -ones, -ones, -ones, ones
    batch.advantages, batch.mask = ones[0], ones.bool()
    logged = trl_loss(batch, loss_type=loss_type).metrics
    assert ("clip_ratio/region_mean" in logged) == (loss_type in CLIPPED_LOSS_TYPES)
