"""The attack table on a board: of just these data, the board's scores, printed as every other table is."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from helpers.paths import ROOT
from helpers.records import example, only, tables

from bench.attack.table import AttackTable, read_kept
from bench.registry import meaning_of
from leaderboards.schema import Board
from leaderboards.tables.attacks import attack_table


@pytest.fixture(scope="module")
def kept() -> AttackTable:
    return next(table for table in read_kept() if table.task == "grammar")


@pytest.fixture(scope="module")
def board(kept: AttackTable, tmp_path_factory: pytest.TempPathFactory) -> Board:
    """A board of the grammar with some of its scores."""
    some = [column for column in kept.columns if column.metric in ("bleu", "self_bleu", "nll_oracle")]
    return replace(
        only(tables(tmp_path_factory.mktemp("boards"), *example())),
        task="grammar",
        task_version=kept.task_version,
        data_sha256=kept.data_sha256,
        meanings={column.key: meaning_of(column.metric, column.key, column.better) for column in some},
    )


def test_a_line_for_each_score_of_the_board_and_a_column_for_each_attack(board: Board, kept: AttackTable) -> None:
    table = attack_table(board)
    assert table is not None
    assert {str(line.cells[0].value) for line in table.lines} == board.meanings.keys()
    assert [column.title for column in table.columns[2:]] == [line.what for line in kept.lines]
    by_key = {column.key: column for column in kept.columns}
    said = {"fooled": "fooled", "no": "not fooled", "absent": "absent"}
    for line in table.lines:
        column = by_key[str(line.cells[0].value)]
        assert line.cells[2].value == kept.held_out.scores[column.key].value
        marks = [said[str(cell.value)] for cell in line.cells[3:]]
        assert marks == [kept.verdict(each, column) for each in kept.lines[1:]]
    assert any("absent: words swapped between sentences: nll_oracle" in note for note in table.notes)
    assert any(note.startswith("fooled: by the metric's own direction") for note in table.notes)


def test_other_data_another_version_or_no_common_score_have_no_table(board: Board) -> None:
    assert attack_table(replace(board, data_sha256="0" * 64)) is None
    assert attack_table(replace(board, task_version=board.task_version + 1)) is None
    assert attack_table(replace(board, meanings={})) is None


def test_every_stored_board_of_text_has_one() -> None:
    """On a task of rewriting the tricks are rows: the input itself, another sentence, labels by chance."""
    records = [json.loads(path.read_bytes()) for path in (ROOT / "leaderboards" / "results").rglob("record.json")]
    stored = {(r["task"], r["data_sha256"]) for r in records if not r["task"].endswith("_transfer")}
    assert {(table.task, table.data_sha256) for table in read_kept()} == stored
