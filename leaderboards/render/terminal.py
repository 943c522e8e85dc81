"""Boards -> the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from bench.streams import Head, print_prose, print_table
from bench.streams import console as standard_output
from bench.text.escapes import shown_name
from leaderboards.legend import facts, heading, legend
from leaderboards.schema import Boards
from leaderboards.tables import Line, Table, text_tables

__all__ = ["print_boards", "print_tables"]


def print_boards(boards: Boards, console: Console | None = None) -> None:
    """Print every board, then what was left out and why."""
    console = console or standard_output
    for board in boards.boards:
        print_prose(console, f"\n{heading(board)}", "bold")
        if line := facts(board):
            print_prose(console, f"Data: {line}", "dim")
        print_tables(text_tables(board), console)
        _list(console, "Notes", board.notes, "yellow")
    if boards.boards:
        _list(console, "How to read this", legend(boards), "dim")
    _list(console, "Why there are several boards", boards.reasons, "dim")
    _list(console, "Records not counted", boards.notices, "yellow")
    _list(console, "Records not readable", boards.problems, "red")


def print_tables(tables: Iterable[Table], console: Console | None = None) -> None:
    """Print tables, each with its title and what a reader must know."""
    console = console or standard_output
    for table in tables:
        print_prose(console, f"\n{table.title}", "italic")
        print_table(
            console,
            [Head(column.title.replace(" ", "\n"), left=column.left) for column in table.columns],
            [[_cells(table, line) for line in lines] for _, lines in table.groups],
        )
        for line in table.notes:
            print_prose(console, f"  {line}", "dim")


def _cells(table: Table, line: Line) -> list[Text]:
    cells = zip(table.columns, line.cells, strict=True)
    return [Text(column.text(cell), style="bold green" if cell.strong else "") for column, cell in cells]


def _list(console: Console, title: str, lines: list[str], style: str) -> None:
    if lines:
        print_prose(console, title, "bold")
    for line in lines:
        print_prose(console, f"  - {shown_name(line)}", style)
