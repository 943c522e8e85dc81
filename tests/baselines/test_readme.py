"""The table of the baselines names every model, its paper, and about how long its code is."""

from __future__ import annotations

import re

import pytest
from helpers.paths import ROOT

from bench.registry import names

BASELINES = ROOT / "baselines"
TABLE = (BASELINES / "README.md").read_text(encoding="utf-8")
GANS = ["mle", "seqgan", "maligan", "leakgan", "relgan", "wgan_gp"]


def test_every_model_is_named() -> None:
    assert [name for name in names("models") if f"`{name}`" not in TABLE] == []


@pytest.mark.parametrize("name", GANS)
def test_paper_and_length(name: str) -> None:
    (line,) = re.findall(rf"^\| \[`{name}`\].*$", TABLE, re.M)
    files = [BASELINES / f"{name}.py", *BASELINES.glob(f"{name}/*.py")]
    source = [file.read_text(encoding="utf-8") for file in files if file.exists()]
    (paper,) = re.findall(r"\((https://[^)]+)\)", line)
    assert any(paper in text for text in source)
    stated = int(line.rstrip("| ").rsplit("|", 1)[1])
    assert stated == pytest.approx(sum(text.count("\n") for text in source), rel=0.1)
