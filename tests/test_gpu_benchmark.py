"""The GPU's benchmark made so small that a CPU can run it: it must work when a card comes."""

import sys

import pytest
import torch

from benchmarks import gpu

SMALL = ["--device", "cpu", "--layers", "1", "--hidden", "64", "--vocabulary", "512", "--tokens", "4", "--steps", "2"]


def test_our_side_runs_and_the_report_holds_it_against_the_limits(tmp_path):
    options = gpu.parse([*SMALL, "--side", "ours", "--folder", str(tmp_path)])
    gpu.save_model(str(tmp_path), options)
    found = gpu.run_ours(options)
    assert len(found["times"]) == 2 and found["length"] > 3 and "lean_model" in found["fast_paths"]
    *_, head, _, ours, trl, _, in_use = gpu.report({"ours": found, "trl": {"failed": "no trl"}}, options)
    cells = [cell.strip() for cell in ours.strip("|").split("|")]
    assert len(cells) == head.strip("|").count("|") + 1
    assert float(cells[1]) == round(found["timings"]["sample"], 3) and float(cells[6]) > 0
    assert "no trl" in trl and "fused_adamw" in in_use


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card to measure")
def test_without_a_card_it_says_so_and_ends(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu"])
    gpu.main()
    assert "needs an NVIDIA GPU" in capsys.readouterr().out
