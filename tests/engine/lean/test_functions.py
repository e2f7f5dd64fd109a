"""The hand-written gradients against autograd's, in float64."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from workbench.engine.lean import head as head_module
from workbench.engine.lean.functions import FoldedLinear, gated_silu, normed, rotated
from workbench.engine.lean.head import TokenLogps
from workbench.grpo import token_entropy, token_logps


def numbers(*shape: int, seed: int = 0, gradient: bool = True) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=random, dtype=torch.float64).requires_grad_(gradient)


def test_the_small_functions_have_the_gradient_of_finite_differences():
    weight, angles = numbers(6, seed=1, gradient=False), numbers(5, 1, 4, seed=2, gradient=False)
    angles = torch.cat([angles[..., :2], angles[..., :2]], dim=-1)
    sin = torch.cat([-angles[..., :2], angles[..., 2:]], dim=-1)
    assert gradcheck(lambda x: normed(x, weight, 1e-6), numbers(5, 6))
    assert gradcheck(gated_silu, numbers(5, 6))
    assert gradcheck(lambda x: rotated(x, angles.cos(), sin, 3, 1), numbers(5, 5, 4))


def test_the_small_functions_are_the_same_with_and_without_a_gradient_and_the_same_as_torchs():
    x, weight = numbers(5, 8), numbers(8, seed=1, gradient=False)
    with torch.no_grad():
        plain = normed(x, weight, 1e-6), gated_silu(x)
    assert torch.equal(plain[0], normed(x, weight, 1e-6)) and torch.equal(plain[1], gated_silu(x))
    torch.testing.assert_close(plain[0], F.rms_norm(x, (8,), weight, 1e-6))
    torch.testing.assert_close(plain[1], F.silu(x[:, :4]) * x[:, 4:])


@pytest.mark.parametrize("sizes", [(5,), (4, 2, 2)])
def test_a_folded_layer_has_the_gradient_of_adapters_beside_their_layers(sizes):
    """dA and dB by hand against autograd through W·x + s·B·(A·x), several layers with one input at once."""
    x, scaling, rank = numbers(7, 6), 1.5, 3
    bases = [numbers(size, 6, seed=size, gradient=False) for size in sizes]
    bias = numbers(sum(sizes), seed=9, gradient=False)
    all_a = [numbers(rank, 6, seed=10 + i) for i in range(len(sizes))]
    all_b = [numbers(size, rank, seed=20 + i) for i, size in enumerate(sizes)]
    beside = torch.cat(
        [x @ w.t() + scaling * (x @ a.t()) @ b.t() for w, a, b in zip(bases, all_a, all_b, strict=True)], dim=1
    )
    folded_weight = torch.cat([w + scaling * b @ a for w, a, b in zip(bases, all_a, all_b, strict=True)]).detach()
    folded = FoldedLinear.apply(x, folded_weight, bias, scaling, torch.cat(all_a), *all_b)
    torch.testing.assert_close(folded, beside + bias)
    toward = numbers(7, sum(sizes), seed=5, gradient=False)
    inputs = [x, *all_a, *all_b]
    expected = torch.autograd.grad((beside * toward).sum(), inputs)
    for found, right in zip(torch.autograd.grad((folded * toward).sum(), inputs), expected, strict=True):
        torch.testing.assert_close(found, right)
        assert found.is_contiguous(), "the fused optimizer takes a gradient's memory to lie as its weight's does"


@pytest.mark.parametrize("logits_at_once", [2**26, 30, 11, 1])
def test_log_probabilities_in_pieces_are_those_of_all_logits_at_once(monkeypatch, logits_at_once):
    monkeypatch.setattr(head_module, "LOGITS_AT_ONCE", logits_at_once)
    states, head, ids = numbers(9, 6), numbers(11, 6, seed=1, gradient=False), torch.arange(9)
    logps, entropy = TokenLogps.apply(states, head, ids, 0.7)
    logits = states @ head.t()
    torch.testing.assert_close(logps, token_logps(logits, ids, 0.7))
    torch.testing.assert_close(entropy, token_entropy(logits, 0.7))
    assert not entropy.requires_grad
    toward = numbers(9, seed=3, gradient=False)
    (found,) = torch.autograd.grad((logps * toward).sum(), states)
    (expected,) = torch.autograd.grad((token_logps(logits, ids, 0.7) * toward).sum(), states)
    torch.testing.assert_close(found, expected)


def test_log_probabilities_in_pieces_never_hold_more_logits_than_one_piece(monkeypatch):
    monkeypatch.setattr(head_module, "LOGITS_AT_ONCE", 30)
    largest = []
    real = F.linear

    def seen(x, weight, bias=None):
        largest.append(x.shape[0] * weight.shape[0])
        return real(x, weight, bias)

    monkeypatch.setattr(head_module.F, "linear", seen)
    logps, _ = TokenLogps.apply(numbers(9, 6), numbers(10, 6, gradient=False), torch.arange(9), 1.0)
    logps.sum().backward()
    assert max(largest) <= 30 and sum(largest) == 2 * 9 * 10
