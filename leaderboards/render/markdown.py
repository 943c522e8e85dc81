"""Boards -> Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from bench.record import write_atomic
from leaderboards.formats import plain
from leaderboards.legend import facts, heading, legend, signatures
from leaderboards.schema import Boards
from leaderboards.tables import Cell, Column, Table, text_tables

__all__ = ["to_markdown", "write"]

_SPECIAL = re.compile(r"([\\`*\[\]<>&|~#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")


def _escape(text: str) -> str:
    """Text -> Markdown that shows it: names may hold pipes, tags and line breaks."""
    return _SPECIAL.sub(r"\\\1", plain(text)).replace("://", r"\://")


def to_markdown(boards: Boards) -> str:
    """One document: legend, boards, and what was left out and why."""
    blocks = ["# Leaderboard", *(_escape(line) for line in legend(boards))]
    for board in boards.boards:
        blocks += [f"## {_escape(heading(board))}", f"Data: {_escape(line)}." if (line := facts(board)) else ""]
        for table in text_tables(board):
            blocks += [f"### {_escape(table.title)}", _table(table), _bullets(table.notes)]
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
    cells = [[_cell(*pair) for pair in zip(table.columns, line.cells, strict=True)] for line in table.lines]
    frame = pd.DataFrame(cells, columns=[_escape(column.title) for column in table.columns])
    aligned = ["left" if column.left else "right" for column in table.columns]
    return frame.to_markdown(index=False, tablefmt="pipe", disable_numparse=True, colalign=aligned)


def _cell(column: Column, cell: Cell) -> str:
    text = _escape(column.text(cell))
    return f"**{text}**" if cell.strong else text


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {_escape(line)}" for line in lines)


def write(boards: Boards, path: Path) -> Path:
    """Write the file, atomically; returns its path."""
    write_atomic(path, to_markdown(boards).encode())
    return path
