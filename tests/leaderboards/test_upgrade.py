"""`leaderboards upgrade`: records of schema 1 are written anew, every score as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.commands import call_leaderboards
from helpers.records import as_schema_1, evaluation, example, record

from bench.record import read_record
from leaderboards.boards import build


def write_schema_1(runs: Path) -> None:
    for i, one in enumerate(example()):
        (runs / f"r{i}").mkdir(parents=True)
        (runs / f"r{i}" / "record.json").write_text(json.dumps(as_schema_1(one)))


def test_boards_are_the_same_before_and_after(tmp_path: Path) -> None:
    write_schema_1(tmp_path)
    before, records = build([tmp_path]), [read_record(path) for path in sorted(tmp_path.rglob("record.json"))]
    result = call_leaderboards("upgrade", tmp_path)
    assert f"{len(records)} records upgraded" in result.output
    assert all(json.loads(p.read_text())["schema_version"] == 2 for p in tmp_path.rglob("record.json"))
    assert [read_record(path) for path in sorted(tmp_path.rglob("record.json"))] == records
    assert build([tmp_path]) == before
    assert "0 records upgraded" in call_leaderboards("upgrade", tmp_path).output


def test_a_score_that_would_change_stops_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps(as_schema_1(record("mle", 0, evaluation(bleu_2=0.5)))))
    before = path.read_bytes()
    wrong = replace(read_record(path), evaluations=(evaluation(bleu_2=0.6),))
    monkeypatch.setattr("leaderboards.repository.upgrade.read_record", lambda _: wrong)
    result = call_leaderboards("upgrade", path, code=2)
    assert "bleu_2 at step 9 would change from (0.5" in result.output
    assert path.read_bytes() == before


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    result = call_leaderboards("upgrade", tmp_path / "nothing", code=2)
    assert "does not exist" in result.output
