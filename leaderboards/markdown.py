"""Boards -> Markdown for readers and CSV for programs."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from bench.record import canonical_json, write_atomic
from leaderboards.schema import Board, Boards, Cell, Row
from leaderboards.tables import Part, Table, facts, heading, legend, parts, plain, signatures

__all__ = ["CSV_COLUMNS", "escape", "to_csv", "to_markdown", "write"]

CSV_COLUMNS = (
    *("board", "task", "task_version", "task_config", "data_sha256", "scale", "model", "label", "config_hash"),
    *("origin", "status", "n_completed", "n_started", "table", "temperature", "key", "mean", "half_width", "n"),
    *("signature", "better", "rank"),
)
"""`table`: final (temperature 1), gain (end minus end of pre-training), temperature (every temperature)."""

_SPECIAL = re.compile(r"([\\`*\[\]<>&|~#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")


def escape(text: str) -> str:
    """Text -> Markdown that shows it: names may hold pipes, tags and line breaks."""
    return _SPECIAL.sub(r"\\\1", plain(text)).replace("://", r"\://")


def to_markdown(boards: Boards) -> str:
    """One document: legend, boards, and what was left out and why."""
    blocks = ["# Leaderboard", *(escape(line) for line in legend(boards))]
    for board in boards.boards:
        blocks += [f"## {escape(heading(board))}", f"Data: {escape(told)}." if (told := facts(board)) else ""]
        for table in parts(board):
            blocks += [f"### {escape(table.title)}", _table(table), _bullets(table.under)]
        blocks += ["### Signatures", _bullets(signatures(board))] if board.signatures else []
        blocks += ["### Notes", _bullets(board.notes)] if board.notes else []
    for title, lines in _remarks(boards):
        blocks += [f"## {title}", _bullets(lines)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _remarks(boards: Boards) -> list[tuple[str, list[str]]]:
    sections = [
        ("Why there are several boards", boards.reasons),
        ("Records not counted", boards.notices),
        ("Records not readable", boards.problems),
    ]
    return [(title, lines) for title, lines in sections if lines]


def _table(table: Table) -> str:
    frame = pd.DataFrame([[_cell(part) for part in row] for row in table.rows], columns=list(map(escape, table.header)))
    aligned = ("left", *("right" for _ in table.header[1:]))
    return frame.to_markdown(index=False, tablefmt="pipe", disable_numparse=True, colalign=aligned)


def _cell(part: Part) -> str:
    return f"**{escape(part.text)}**" if part.strong else escape(part.text)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {escape(line)}" for line in lines)


def to_csv(boards: Boards) -> str:
    """Long format, one value a line, full precision; blank where there is nothing. Measured rows only."""
    file = io.StringIO()
    writer = csv.DictWriter(file, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for board in boards.boards:
        for row in board.rows:
            for table, temperature, key, cell in _cells(row):
                writer.writerow(_line(board, row, table, temperature, key, cell))
    return file.getvalue()


def _cells(row: Row) -> Iterable[tuple[str, float, str, Cell]]:
    for key, cell in sorted(row.final.items()):
        yield "final", 1.0, key, cell
    for key, cell in sorted(row.gain.items()):
        yield "gain", 1.0, key, cell
    for temperature, cells in sorted(row.sweep.items()):
        for key, cell in sorted(cells.items()):
            yield "temperature", temperature, key, cell


def _line(board: Board, row: Row, table: str, temperature: float, key: str, cell: Cell) -> dict[str, object]:
    return {
        "board": board.number,
        "task": board.task,
        "task_version": board.task_version,
        "task_config": canonical_json(board.task_config),
        "data_sha256": board.data_sha256,
        "scale": board.scale,
        "model": row.model,
        "label": row.label,
        "config_hash": row.config_hash,
        "origin": row.origin,
        "status": row.status,
        "n_completed": row.n_completed,
        "n_started": row.n_started,
        "table": table,
        "temperature": temperature,
        "key": key,
        "mean": repr(cell.mean),
        "half_width": "" if cell.half_width is None else repr(cell.half_width),
        "n": cell.n,
        "signature": board.signatures[key],
        "better": board.better[key],
        "rank": "" if cell.rank is None else cell.rank,
    }


def write(boards: Boards, folder: Path) -> tuple[Path, Path]:
    """Write `leaderboard.md` and `leaderboard.csv` into a folder, atomically; returns their paths."""
    markdown, table = folder / "leaderboard.md", folder / "leaderboard.csv"
    write_atomic(markdown, to_markdown(boards).encode())
    write_atomic(table, to_csv(boards).encode())
    return markdown, table
