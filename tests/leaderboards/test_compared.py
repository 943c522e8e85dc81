"""What pages that are written by hand say was measured, with its interval, is what the stored rows say."""

from __future__ import annotations

import re

import pytest
from helpers.paths import ROOT

from bench.places import RESULTS
from leaderboards.boards import build
from leaderboards.schema import FULL_SCALE

pytestmark = pytest.mark.skipif(not RESULTS.is_dir(), reason="no rows are stored")
MEASURED = re.compile(r"([+-]?\d*\.\d{3}) ± (\d*\.\d{3})")


def test_every_measured_number_is_that_of_a_stored_row() -> None:
    compared = (ROOT / "baselines" / "README.md").read_text(encoding="utf-8")
    section = compared.split("\nAt the published settings")[1].split("\n## ")[0]
    rows = [(board.scale, row) for board in build([RESULTS]).boards for row in board.rows]
    pages = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("labels.md", "transfer.md")]
    for text, scales in ((section, {FULL_SCALE}), *((page, {"small"}) for page in pages)):
        told = {(float(mean), float(half)) for mean, half in MEASURED.findall(" ".join(text.split()))}
        means = [m for scale, row in rows if scale in scales for m in (*row.final.values(), *row.gain.values())]
        stored = {(round(m.mean, 3), round(m.half_width, 3)) for m in means if m.half_width is not None}
        assert len(told) > 5
        assert told - stored == set()
