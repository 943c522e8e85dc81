"""The attack table of a board's task as the leaderboard's table: which metrics cheap tricks fool, from the kept result.

The values are `metrics/attacks.json`, made by `bench attack ... --write`; nothing is scored here.
"""

from __future__ import annotations

from functools import cache

from bench.attack.table import MARKS, AttackTable, note, read_kept
from leaderboards.formats import plain
from leaderboards.schema import Board
from leaderboards.tables.cells import Cell, Column, Line, Table
from metrics.common.base import Better

__all__ = ["attack_table"]


def attack_table(board: Board) -> Table | None:
    """Attacks in columns, the board's scores in lines; None where no result is kept for just these data.

    Attacks are columns because there are fewer of them than scores, so that the table is as wide as others are.
    """
    found = next((table for table in _kept() if table.data_sha256 == board.data_sha256), None)
    if found is None or (found.task, found.task_version) != (board.task, board.task_version):
        return None
    first = [Column(title="score", kind="words"), Column(title="better", kind="words")]
    columns = [*first, Column(title=plain(found.held_out.what), kind="score")]
    columns += [Column(title=plain(line.what), kind="tag") for line in found.lines[1:]]
    lines = tuple(_line(found, i) for i, column in enumerate(found.columns) if column.key in board.meanings)
    if not lines:
        return None
    return Table(
        title=f"Attacks: what takes cheap tricks for real text ({found.n_samples:,} sentences each)",
        columns=tuple(columns),
        lines=lines,
        notes=(*note(found), *_reasons(found, board)),
        name="attacks",
    )


@cache
def _kept() -> tuple[AttackTable, ...]:
    return tuple(read_kept())


def _line(table: AttackTable, place: int) -> Line:
    column = table.columns[place]
    level = table.held_out.scores[column.key]
    cells = [Cell(column.key), Cell(_DIRECTIONS[column.better]), Cell(level.value)]
    return Line((*cells, *(Cell(MARKS[table.verdict(line, column)]) for line in table.lines[1:])), group=column.metric)


_DIRECTIONS: dict[Better, str] = {"higher": "higher", "lower": "lower", "real": "as real"}


def _reasons(table: AttackTable, board: Board) -> list[str]:
    """Why scores of the table are absent."""
    columns = [column for column in table.columns if column.key in board.meanings]
    reasons: dict[str, list[str]] = {}
    for line in table.lines:
        absent: dict[str, list[str]] = {}
        for column in columns:
            if reason := table.reason(line, column):
                absent.setdefault(reason, []).append(column.key)
        for reason, keys in absent.items():
            which = "all scores" if len(keys) == len(columns) else ", ".join(keys)
            reasons.setdefault(reason, []).append(f"{line.what}: {which}")
    return [plain(f"absent: {'; '.join(which)} ({reason})") for reason, which in reasons.items()]
