"""The benchmark of sizes: its records are records, and what grows too fast is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.record import read_record
from leaderboards.boards import build
from speed.limits import Cost, grown, many_records, markdown, measure


def test_many_records_are_rows_of_their_own(tmp_path: Path) -> None:
    records = list(many_records(7))
    for record in records:
        record.write(tmp_path / record.run_id / "record.json")
        assert read_record(tmp_path / record.run_id / "record.json") == record
    boards = build([tmp_path])
    assert sum(len(row.runs) for board in boards.boards for row in board.rows) == 7
    assert boards.problems == []


def test_what_grows_faster_than_its_size_is_named() -> None:
    linear = [Cost("linear", size, 2 + size / 10, 100.0) for size in (10, 100, 1000)]
    square = [Cost("square", size, 2 + size**2 / 10, 100.0) for size in (10, 100, 1000)]
    assert grown([*linear, *square]) == ["square: faster than linearly up to 1,000"]
    assert markdown(linear).endswith("Nothing grows faster than linearly.")


def test_a_command_has_a_cost_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    seconds, memory = measure(["json.tool", "--help"], tmp_path)
    assert 0 < seconds < 30
    assert memory > 1
    with pytest.raises(RuntimeError, match="No module named"):
        measure(["no_such_module_here"], tmp_path)
