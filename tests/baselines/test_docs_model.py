"""The model that the README offers as a beginning: it trains and gets a row.

That it keeps the contract is tried in `tests/bench/check/`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.paths import ROOT
from typer.testing import CliRunner

from bench.cli import app
from bench.record import read_record

MODEL = ROOT / "docs" / "my_gan.py"


@pytest.fixture(autouse=True)
def no_other_file_of_this_name() -> Iterator[None]:
    """Other tests write files of the same name, and one process takes one of them."""
    before = sys.modules.pop(MODEL.stem, None)
    yield
    sys.modules.pop(MODEL.stem, None)
    if before is not None:
        sys.modules[MODEL.stem] = before


def test_it_is_trained_and_scored(tmp_path: Path) -> None:
    settings = ["--set", "mle_steps=40", "--scale", "smoke", "--runs", str(tmp_path), "--tracker", "none"]
    result = CliRunner().invoke(app, ["run", f"{MODEL}:MyGAN", "grammar", *settings])
    assert result.exit_code == 0, result.output
    (record,) = [read_record(p) for p in tmp_path.glob("grammar-my_gan-*/record.json")]
    final = record.final()
    assert record.status == "completed"
    assert final is not None
    assert final.scores["nll_gen"].value < 4.5  # evenly drawn words cost log 96 = 4.56
