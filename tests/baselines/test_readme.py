"""The table of the baselines names every model, and the paper that its own file names."""

from __future__ import annotations

import re

import pytest
from helpers.paths import ROOT

from bench.registry import names

BASELINES = ROOT / "baselines"
TABLE = (BASELINES / "README.md").read_text(encoding="utf-8")
WITH_PAPER = ["mle", "seqgan", "maligan", "rankgan", "sentigan", "leakgan", "relgan", "wgan_gp"]
WITH_PAPER += ["transformer_mle", "masked_diffusion"]


def test_every_model_is_named() -> None:
    assert [name for name in names("models") if f"`{name}`" not in TABLE] == []


@pytest.mark.parametrize("name", WITH_PAPER)
def test_the_paper_is_that_of_the_file(name: str) -> None:
    (line,) = re.findall(rf"^\| \[`{name}`\].*$", TABLE, re.M)
    (paper,) = re.findall(r"\((https://[^)]+)\)", line)
    files = [BASELINES / f"{name}.py", *BASELINES.glob(f"{name}/*.py")]
    assert any(paper in file.read_text(encoding="utf-8") for file in files if file.exists())
