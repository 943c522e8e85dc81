"""What `baselines/README.md` says was measured at published settings is what the stored rows say."""

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
    text = (ROOT / "baselines" / "README.md").read_text(encoding="utf-8")
    section = text.split("\nAt the published settings")[1].split("\n## ")[0]
    told = {(float(mean), float(half)) for mean, half in MEASURED.findall(section)}
    boards = [board for board in build([RESULTS]).boards if board.scale == FULL_SCALE]
    means = [m for board in boards for row in board.rows for m in (*row.final.values(), *row.gain.values())]
    stored = {(round(m.mean, 3), round(m.half_width, 3)) for m in means if m.half_width is not None}
    assert len(told) > 30
    assert told - stored == set()
