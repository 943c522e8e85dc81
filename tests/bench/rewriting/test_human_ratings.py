"""The page of rank correlations is what its command writes, and the correlations are what they say."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from helpers.paths import ROOT

from bench.rewriting.cli import report
from bench.rewriting.ratings import ASKED, Rated, agreements


def without_intervals(text: str) -> str:
    return re.sub(r"\[[^\]]*\]|\d+ resamples", "", text)


def test_the_page_is_current(study_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write it anew: python -m bench human-ratings --out docs/human-ratings.md. The intervals are left out here."""
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(study_data))
    page = (ROOT / "docs/human-ratings.md").read_text(encoding="utf-8")
    assert without_intervals(report(0)) == without_intervals(page)
    assert len(re.findall(r"\[-?\d\.\d\d, -?\d\.\d\d\]", page)) == 3 * 8 * 4


def test_a_metric_that_is_the_rating_agrees_and_its_reverse_disagrees() -> None:
    random = np.random.RandomState(0)
    ratings = random.randint(1, 6, (120, 3)).astype(float)
    rated = Rated(
        inputs=("x",) * 120,
        outputs=("y",) * 120,
        systems=tuple((("a", "b", "c", "d")[i % 4],) for i in range(120)),
        group=np.arange(120) // 4,
        ratings=ratings,
    )
    scores = {"same": ratings[:, 1], "reverse": -ratings[:, 1], "noise": random.rand(120)}
    found = agreements(rated, scores, resamples=50)
    for kind in ("spearman", "kendall", "systems"):
        assert found["same"]["sentiment"][kind].value == pytest.approx(1)
        assert found["reverse"]["sentiment"][kind].value == pytest.approx(-1)
    chance = found["noise"]["topic"]["spearman"]
    assert chance.low < 0 < chance.high
    assert list(found["same"]) == [*ASKED, "all three"]
