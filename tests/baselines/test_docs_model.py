"""The model that the README offers as a beginning: it trains, has a likelihood, and gets a row."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from helpers.paths import ROOT
from typer.testing import CliRunner

from baselines.common.interface import SequenceSpec
from bench.cli import app
from bench.record import read_record
from bench.registry import find

MODEL = ROOT / "docs" / "my_gan.py"


def test_its_probabilities_sum_to_one() -> None:
    model_class = find("models", f"{MODEL}:MyGAN")
    for eos_id in (None, 2):
        spec = SequenceSpec(vocab_size=3, max_len=4, bos_id=0, pad_id=eos_id, eos_id=eos_id)
        model = model_class(model_class.Config(hidden_dim=8), spec)
        rows = list(itertools.product(range(3), repeat=4))
        if eos_id is not None:  # one row for each sentence: after the end nothing but padding
            rows = [r for r in rows if 2 not in r or set(r[r.index(2) :]) == {2}]
        with torch.no_grad():
            assert model.log_prob(torch.tensor(rows)).exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_it_is_trained_and_scored(tmp_path: Path) -> None:
    settings = ["--set", "steps=40", "--scale", "smoke", "--runs", str(tmp_path), "--tracker", "none"]
    result = CliRunner().invoke(app, ["run", f"{MODEL}:MyGAN", "grammar", *settings])
    assert result.exit_code == 0, result.output
    (record,) = [read_record(p) for p in tmp_path.glob("grammar-my_gan-*/record.json")]
    final = record.final()
    assert record.status == "completed"
    assert final is not None
    assert final.scores["nll_gen"].value < 4.5  # evenly drawn words cost log 96 = 4.56
