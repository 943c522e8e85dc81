"""`leaderboards export`: every score in one file for other programs, and what is said where that cannot be."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from helpers.records import example, tables
from typer.testing import CliRunner

from leaderboards.__main__ import app
from leaderboards.render.scores import SCORE_COLUMNS, score_lines


@pytest.mark.parametrize(("form", "read"), [("parquet", pd.read_parquet), ("csv", pd.read_csv)], ids=["parquet", "csv"])
def test_every_score_of_every_seed_is_in_the_file(form: str, read: object, tmp_path: Path) -> None:
    wanted = list(score_lines(tables(tmp_path, *example())))
    target = tmp_path / "scores"
    done = CliRunner().invoke(app, ["export", str(tmp_path / "runs"), "--format", form, "--out", str(target)])
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    assert callable(read)
    found = read(target)
    assert list(found.columns) == list(SCORE_COLUMNS)
    assert found["value"].tolist() == [line["value"] for line in wanted]
    assert found["run_id"].tolist() == [line["run_id"] for line in wanted]
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "scores"}


def test_parquet_is_what_is_written_where_nothing_is_said(tmp_path: Path) -> None:
    tables(tmp_path, *example())
    done = CliRunner().invoke(app, ["export", str(tmp_path / "runs"), "--out", str(tmp_path / "s")])
    assert done.exit_code == 0
    assert (tmp_path / "s").read_bytes()[:4] == b"PAR1"


def test_what_cannot_be_read_is_named_and_costs_nothing_else(tmp_path: Path) -> None:
    wanted = list(score_lines(tables(tmp_path, *example())))
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "record.json").write_text("{")
    done = CliRunner().invoke(app, ["export", str(tmp_path / "runs"), "--out", str(tmp_path / "s")])
    assert done.exit_code == 1
    assert "broken" in done.stderr
    assert len(pd.read_parquet(tmp_path / "s")) == len(wanted)


def test_mistakes_are_told_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    target = tmp_path / "s.parquet"
    for arguments, code, told in (
        (["nowhere", "--out", str(target)], 2, "nowhere"),
        ([str(tmp_path / "runs"), "--out", str(tmp_path)], 2, "is a folder"),
        ([str(tmp_path / "runs"), "--out", str(target)], 1, "no record"),
        ([str(tmp_path / "runs"), "--out", str(target), "--format", "xlsx"], 2, "parquet"),
        ([str(tmp_path / "runs")], 2, "--out"),
    ):
        done = CliRunner().invoke(app, ["export", *arguments])
        assert done.exit_code == code, done.output
        assert told in done.stderr
    assert not target.exists()
