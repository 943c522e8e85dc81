"""The rows of the repository: every score computed again from its samples, as `leaderboards verify` does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from leaderboards.results import RESULTS
from leaderboards.store import VERIFIED, read_store
from leaderboards.verify import verify

pytestmark = pytest.mark.skipif(not RESULTS.is_dir(), reason="no rows are stored")


def test_every_stored_score_is_what_its_samples_give(study_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(study_data))
    reports = verify([RESULTS], jobs=2)
    assert reports
    wrong = {report.record: report.reasons for report in reports if report.state != "verified"}
    assert wrong == {}


def test_what_is_said_to_be_verified_is_what_is_stored() -> None:
    store = read_store([RESULTS])
    assert store.problems == ()
    listed = json.loads((RESULTS / VERIFIED).read_text(encoding="utf-8"))["records"]
    assert {entry["record"] for entry in listed.values()} == {
        entry.path.relative_to(RESULTS).as_posix() for entry in store.entries if entry.verified
    }
    assert all(entry.verified for entry in store.entries)
