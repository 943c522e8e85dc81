"""Boards -> the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from leaderboards.formats import plain
from leaderboards.legend import facts, heading, legend
from leaderboards.schema import Boards
from leaderboards.tables import Table, text_tables

__all__ = ["print_boards", "print_tables"]

_PIPE_WIDTH = 120
"""Columns where the output is no terminal, and so has no width."""


def print_boards(boards: Boards, console: Console | None = None) -> None:
    """Print every board, then what was left out and why."""
    console = console or _console()
    for board in boards.boards:
        console.print(Text(f"\n{heading(board)}", style="bold"))
        if line := facts(board):
            console.print(Text(f"Data: {line}", style="dim"))
        print_tables(text_tables(board), console)
        _list(console, "Notes", board.notes, "yellow")
    if boards.boards:
        _list(console, "How to read this", legend(boards), "dim")
    _list(console, "Why there are several boards", boards.reasons, "dim")
    _list(console, "Records not counted", boards.notices, "yellow")
    _list(console, "Records not readable", boards.problems, "red")


def print_tables(tables: Iterable[Table], console: Console | None = None) -> None:
    """Print tables, each with its title and what a reader must know."""
    console = console or _console()
    for table in tables:
        console.print(Text(f"\n{table.title}", style="italic"))
        console.print(_rich(table))
        for line in table.notes:
            console.print(Text(f"  {line}", style="dim"))


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=max(_PIPE_WIDTH, console.width))


def _rich(table: Table) -> RichTable:
    rich = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    for column in table.columns:
        rich.add_column(
            Text(column.title.replace(" ", "\n")),
            justify="left" if column.left else "right",
            overflow="fold",
            no_wrap=not column.left,
        )
    for _, lines in table.groups:
        for line in lines:
            cells = zip(table.columns, line.cells, strict=True)
            rich.add_row(*(Text(column.text(c), style="bold green" if c.strong else "") for column, c in cells))
        rich.add_section()
    return rich


def _list(console: Console, title: str, lines: list[str], style: str) -> None:
    if lines:
        console.print(Text(title, style="bold"))
    for line in lines:
        console.print(Text(f"  - {plain(line)}", style=style))
