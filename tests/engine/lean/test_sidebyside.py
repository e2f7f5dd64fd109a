"""Sampling with the compiled loop against the plain loop, and how it is ended."""

import time
from dataclasses import fields, replace
from types import SimpleNamespace

import pytest
import torch

from tests.engine.arrays import PROMPTS, finish, sample
from workbench.engine.lean import sidebyside
from workbench.engine.lean.compiled import compiled
from workbench.engine.lean.manytokens import sample_rows
from workbench.engine.prompts import encode_prompts
from workbench.engine.sampling import sample_groups
from workbench.run.knobs import Knobs

KNOBS = Knobs(num_generations=4, max_completion_length=12, temperature=0.7)


@pytest.fixture
def small_parts(monkeypatch):
    """Parts that do not end where groups do, and logits that are looked at a few at a time."""
    monkeypatch.setattr(sidebyside, "ROWS_OF_A_PART", 5)
    monkeypatch.setattr(sidebyside, "LOGITS_NOTED_AT_ONCE", 2 * 5 * 262)


def ending_often(policy):
    """Have every ninth token end a completion: models of random weights write none for long."""
    return replace(policy, eos_ids=tuple(range(1, 262, 9)))


@pytest.mark.parametrize("changes", [{}, {"top_k": 7}, {"top_p": 0.8}, {"temperature": 1.0}])
def test_the_compiled_loop_samples_and_notes_what_the_plain_one_does(make_policy, lean_folder, small_parts, changes):
    policy = ending_often(make_policy(lean_folder))
    knobs = replace(KNOBS, **changes)
    assert sidebyside.is_side_by_side(policy) and policy.num_workers == 1
    plain = replace(policy, fast_paths=policy.fast_paths - {"compiled_decode"})
    for seed in range(2):
        expected = sample(plain, knobs, seed=seed)[1]
        assert 0 < int(expected.is_truncated.sum()) < len(expected.mask), "rows leave, and rows stay"
        for workers in (1, 3):
            found = sample(replace(policy, num_workers=workers), knobs, seed=seed)[1]
            for f in fields(found):
                torch.testing.assert_close(getattr(found, f.name), getattr(expected, f.name), atol=2e-5, rtol=1e-5)


def test_prompts_of_one_length_need_no_padding_and_give_the_same(make_policy, lean_folder, small_parts):
    policy = ending_often(make_policy(lean_folder))
    prompts = ("12+34=?", "56+78=?", "91+23=?")
    assert not encode_prompts(policy, prompts).has_padding
    expected = sample(replace(policy, fast_paths=policy.fast_paths - {"compiled_decode"}), KNOBS, prompts)[1]
    found = sample(policy, KNOBS, prompts)[1]
    for f in fields(found):
        torch.testing.assert_close(getattr(found, f.name), getattr(expected, f.name), atol=2e-5, rtol=1e-5)


def test_compiled_and_not_the_loop_is_the_same(make_policy, small_parts, monkeypatch):
    policy = ending_often(make_policy())
    found = sample(policy, KNOBS)[1]
    assert compiled(sample_rows) is not sample_rows
    monkeypatch.setattr(sidebyside, "compiled", lambda function: function)
    eager = sample(policy, KNOBS)[1]
    for f in fields(found):
        torch.testing.assert_close(getattr(found, f.name), getattr(eager, f.name), atol=1e-6, rtol=1e-6)


def test_while_nobody_looks_the_parts_wait_and_what_is_drawn_in_pieces_is_the_same(make_policy, monkeypatch):
    policy = ending_often(make_policy())
    expected = sample(policy, KNOBS)[1]
    monkeypatch.setattr(sidebyside, "AHEAD", 0.0)
    monkeypatch.setattr(sidebyside, "LEAST_AHEAD", 1)
    begun, sample_part = [], sidebyside._Sampling.sample

    def noted(self, part):
        begun.append(part)
        return sample_part(self, part)

    monkeypatch.setattr(sidebyside._Sampling, "sample", noted)
    prompts = encode_prompts(policy, PROMPTS)
    sampling = sample_groups(policy, prompts, KNOBS, step=1, generator=torch.Generator().manual_seed(0))
    assert [next(sampling).done for _ in range(3)] == [0, 1, 2]
    time.sleep(0.05)
    assert len(begun) == 1 and 2 <= begun[0].num_drawn <= 3, "it would have drawn all 12 by now"
    found = finish(sampling)
    for f in fields(found):
        assert torch.equal(getattr(found, f.name), getattr(expected, f.name))


def test_a_closed_generator_leaves_no_part_running(make_policy, monkeypatch):
    """Parts that have not begun never do; those that have are told to end, and waited for."""
    monkeypatch.setattr(sidebyside, "ROWS_OF_A_PART", 4)
    begun, ended, patience = [], [], time.monotonic() + 20

    def sample_until_stopped(self, part):
        begun.append(part.first)
        part.num_drawn.fill_(12)
        while not self._is_closed and time.monotonic() < patience:
            time.sleep(0.001)
        ended.append((part.first, self._is_closed, int(self._limit)))
        return True

    monkeypatch.setattr(sidebyside._Sampling, "sample", sample_until_stopped)
    policy = replace(make_policy(), num_workers=2)
    prompts = encode_prompts(policy, PROMPTS)
    sampling = sample_groups(policy, prompts, KNOBS, step=1, generator=torch.Generator())
    assert [next(sampling).done for _ in range(9)] == list(range(9)), "two thirds of the rows have drawn all 12"
    sampling.close()
    assert sorted(begun) == [0, 4] and sorted(ended) == [(0, True, 0), (4, True, 0)]


def test_an_error_in_a_part_is_raised(make_policy, monkeypatch):
    def broken(self, part):
        raise ZeroDivisionError

    monkeypatch.setattr(sidebyside._Sampling, "sample", broken)
    with pytest.raises(ZeroDivisionError):
        sample(make_policy(), KNOBS)


@pytest.mark.parametrize("lack", ["no TorchScript in torch", "a Python it does not support"])
def test_without_torchscript_sampling_and_update_go_the_other_way(make_policy, monkeypatch, lack):
    if lack == "no TorchScript in torch":
        monkeypatch.delattr(torch.jit, "script")
    else:
        monkeypatch.setattr("workbench.engine.lean.compiled.sys", SimpleNamespace(version_info=(3, 14)))
    policy = make_policy()
    assert not {"compiled_decode", "compiled_pass"} & policy.fast_paths
    assert not sidebyside.is_side_by_side(policy)
    assert sample(policy, KNOBS)[1].mask.any()
