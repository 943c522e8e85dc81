"""The rows of the repository: every score computed again from its samples, as `leaderboards verify` does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.places import RESULTS
from leaderboards.__main__ import app
from leaderboards.boards import build
from leaderboards.records import VERIFIED, read_store
from leaderboards.render.markdown import to_markdown
from leaderboards.repository.verify import verify

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


def test_the_published_table_is_that_of_the_stored_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    root = RESULTS.parents[1]
    monkeypatch.chdir(root)
    written = (root / "LEADERBOARD.md").read_text(encoding="utf-8")
    made = to_markdown(build([RESULTS.relative_to(root)]))
    assert written == made, "run: python -m leaderboards build leaderboards/results --markdown LEADERBOARD.md"


def test_one_table_in_a_file_of_its_own(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["build", str(RESULTS), "--markdown", str(tmp_path / "TABLE.md")])
    assert result.exit_code == 0, result.output
    assert [path.name for path in tmp_path.iterdir()] == ["TABLE.md"]
    assert not (RESULTS / "leaderboard").exists()
