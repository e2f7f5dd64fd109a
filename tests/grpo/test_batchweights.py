import pytest
import torch

from workbench.grpo import LOSS_TYPES, batch_weights, token_weights

NAN = float("nan")
MASK = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
ENTROPIES = torch.tensor([[0.5, 1.5, 1.0, NAN], [2.0, NAN, NAN, NAN], [NAN, NAN, NAN, NAN]])


def test_without_a_share_every_token_counts_and_weighs_the_same_in_the_bonus():
    weights = batch_weights("grpo", MASK)
    assert torch.equal(weights.high_entropy, MASK.bool())
    assert torch.equal(weights.entropy, MASK / 4)


def test_with_a_share_the_bonus_is_the_mean_over_the_chosen_tokens():
    weights = batch_weights("grpo", MASK, entropies=ENTROPIES, top_entropy_quantile=0.5)
    # the upper half of 0.5, 1, 1.5, 2 is above 1.25
    assert weights.high_entropy.nonzero().tolist() == [[0, 1], [1, 0]]
    assert torch.equal(weights.entropy, weights.high_entropy / 2)
    assert torch.equal(weights.loss, token_weights("grpo", MASK)), "the denominators of the loss are of all tokens"


@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_rows_keep_the_denominators_and_the_threshold_of_the_batch(loss_type):
    weights = batch_weights(loss_type, MASK, max_completion_length=9, entropies=ENTROPIES, top_entropy_quantile=0.5)
    cut = weights.rows(torch.tensor([1, 0]), 2)
    for name, whole in vars(weights).items():
        assert torch.equal(getattr(cut, name), torch.stack([whole[1, :2], whole[0, :2]]))


def test_a_batch_without_tokens_weighs_nothing_and_holds_no_nan():
    weights = batch_weights("dapo", torch.zeros(2, 3), entropies=torch.full((2, 3), NAN), top_entropy_quantile=0.5)
    assert not any(value.any() for value in vars(weights).values())


def test_a_float64_mask_gives_float64_weights_and_any_other_float32():
    assert batch_weights("grpo", MASK.double()).entropy.dtype == torch.float64
    assert {batch_weights("grpo", MASK.to(d)).loss.dtype for d in (torch.bool, torch.int64)} == {torch.float32}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_entropy_quantile": 0.5}, "top_entropy_quantile=0.5.*None"),
        ({"top_entropy_quantile": -0.1, "entropies": ENTROPIES}, r"top_entropy_quantile=-0.1 is outside \[0, 1\]"),
    ],
)
def test_a_share_that_cannot_be_taken_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        batch_weights("grpo", MASK, **options)
