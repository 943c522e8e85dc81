"""`leaderboards extend`: scores of further metrics from kept samples, which `verify` finds equal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers import stored_runs as runs
from helpers.commands import call_leaderboards

from bench.record import RunRecord, read_record
from leaderboards.repository.add import add
from leaderboards.repository.extend import ADDED
from leaderboards.repository.verify import verify

GONE = ("unique", "bleu")


@pytest.fixture
def row(toy_run: Path, tmp_path: Path) -> tuple[Path, RunRecord]:
    """A row as it was before there were two of its metrics, and its record of today."""
    folder = Path(add(toy_run / "record.json", tmp_path / "results").folder)
    whole = read_record(folder / "record.json")

    def earlier(record: RunRecord) -> RunRecord:
        return replace(
            record,
            evaluations=tuple(
                replace(e, scores={key: s for key, s in e.scores.items() if s.metric not in GONE})
                for e in record.evaluations
            ),
        )

    runs.change(folder, earlier)
    return folder, whole


def extended(*words: object, code: int = 0) -> str:
    return call_leaderboards("extend", *words, code=code).output.replace("\n", " ")


def test_what_is_added_is_what_the_run_would_have_scored(row: tuple[Path, RunRecord]) -> None:
    folder, whole = row
    assert "1 records extended" in extended(folder, "--metric", "unique", "--metric", "bleu")
    found = read_record(folder / "record.json")
    for now, was in zip(found.evaluations, whole.evaluations, strict=True):
        kept = now.at == "end" and now.temperature == 1.0
        left = {key: score for key, score in was.scores.items() if score.metric not in GONE}
        assert now.scores == (was.scores if kept else left)
    assert {name for name in found.environment if name.startswith(ADDED)} == {f"{ADDED}{name}" for name in GONE}
    (report,) = verify([folder])
    assert (report.state, report.reasons) == ("verified", [])
    before = (folder / "record.json").read_bytes()
    assert "0 records extended" in extended(folder, "--metric", "unique")
    assert (folder / "record.json").read_bytes() == before


def test_test_sentences_are_not_compared_with_themselves(tmp_path: Path) -> None:
    (tmp_path / "samples.txt").write_text("the dog sleeps\na cat sees the dog\n" * 3)
    folder = runs.hand_in(tmp_path / "samples.txt", tmp_path / "row", "real_text_test", distinct={})
    extended(folder, "--metric", "unique", "--metric", "bleu", code=1)
    (evaluation,) = read_record(folder / "record.json").evaluations
    assert "unique" in evaluation.scores
    assert "bleu_2" not in evaluation.scores
    assert evaluation.skipped["bleu"] == "the samples are test sentences, and so is what bleu compares with"


def test_what_cannot_be_scored_is_told_and_changes_no_score(row: tuple[Path, RunRecord]) -> None:
    folder, _ = row
    before = read_record(folder / "record.json")
    next(folder.glob("samples*")).unlink()
    assert "is missing" in extended(folder, "--metric", "unique", code=1)
    assert read_record(folder / "record.json") == before


@pytest.mark.parametrize(
    ("words", "expected"),
    [((), "name a metric with --metric"), (("--metric", "uniqe"), "did you mean 'unique'?")],
)
def test_a_wrong_word_is_told(row: tuple[Path, RunRecord], words: tuple[str, ...], expected: str) -> None:
    assert expected in extended(row[0], *words, code=2)
