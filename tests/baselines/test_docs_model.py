"""The model that the README offers as a beginning: it trains and gets a row.

That it keeps the contract is tried in `tests/bench/check/`.
"""

from __future__ import annotations

from pathlib import Path

from helpers.paths import ROOT
from typer.testing import CliRunner

from bench.cli import app
from bench.record import read_record

MODEL = ROOT / "docs" / "my_gan.py"


def test_it_is_trained_and_scored(tmp_path: Path) -> None:
    settings = ["--set", "mle_steps=40", "--scale", "smoke", "--runs", str(tmp_path), "--tracker", "none"]
    result = CliRunner().invoke(app, ["run", f"{MODEL}:MyGAN", "grammar", *settings])
    assert result.exit_code == 0, result.output
    (record,) = [read_record(p) for p in tmp_path.glob("grammar-my_gan-*/record.json")]
    final = record.final()
    assert record.status == "completed"
    assert final is not None
    assert final.scores["nll_gen"].value < 4.5  # evenly drawn words cost log 96 = 4.56
