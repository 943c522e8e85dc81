"""Boards -> the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from bench.streams import Head, print_prose, print_table
from bench.streams import console as standard_output
from bench.text.escapes import shown_name
from leaderboards.agreement import KEEPER
from leaderboards.formats import ARROWS
from leaderboards.retrained import machine_text
from leaderboards.schema import Boards, Row
from leaderboards.tables.board import main_table, text_tables
from leaderboards.tables.cells import Line, Table
from leaderboards.tables.legend import TIERS, facts, heading, legend, party_text, short_legend
from leaderboards.words import names_of

__all__ = ["print_boards", "print_overview", "print_row", "print_tables"]

_ROWS = 14
"""Of a main table, at most."""
_REASONS = 3
"""Why there are several boards, as far as it is said below the main tables."""
_WORD = 12
"""Letters of a heading that stand on one line."""


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
    _left_out(boards, console)


def print_overview(boards: Boards, whole: str, console: Console | None = None) -> None:
    """Print the main table of every board, and where the rest is (`whole`, a sentence); then what was left out."""
    console = console or standard_output
    names = names_of(boards)
    for board in boards.boards:
        table, left_out = main_table(board, _ROWS)
        print_prose(console, f"\n{board.number}. {names[board.number]}", "bold")
        heads = [Head(_narrow(column.title), left=column.left) for column in table.columns]
        print_table(console, heads, [[_narrow_cells(table, line) for line in lines] for _, lines in table.groups])
        for note in table.notes:
            print_prose(console, note, "dim")
        if left_out:
            print_prose(console, f"  and {left_out} more row{'s' if left_out > 1 else ''}", "dim")
    if boards.boards:
        console.print()
        print_prose(console, " ".join(short_legend(boards.boards)), "dim")
        print_prose(console, whole)
    _left_out(boards, console, most=_REASONS)


def print_row(row: Row, title: str) -> None:
    """Print what is known of one row beside its scores: who made it and on what, and who has seen it come out."""
    console = standard_output
    print_prose(console, f"\n{row.label} on {title}", "bold")
    made = sorted({(run.trained_by or KEEPER, machine_text(run.environment) or "no device") for run in row.runs})
    facts = [
        f"{row.status}, {row.n_completed} of {row.n_started} {'seeds' if row.origin == 'run' else 'files'} completed",
        f"{row.tier}: {TIERS[row.tier]}",
        *(f"trained by {by}, on {device}" for by, device in made if row.origin == "run"),
        *(party_text(party) for party in row.second_parties),
        *(f"lacks {lack}" for lack in row.lacks),
        *(f"{run.path}" for run in row.runs),
    ]
    for line in facts:
        print_prose(console, f"  {line}")
    if row.command:
        console.print(f"  {row.command}", soft_wrap=True)


def _narrow(title: str) -> str:
    """A heading a word a line, long words in two."""
    lines = []
    for word in title.split():
        head, low, tail = word.rpartition("_") if len(word) > _WORD else ("", "", word)
        lines += [head + low, tail] if head else [word]
    if len(lines) > 1 and lines[-1].rstrip("°") in ARROWS.values():  # the arrow beside what it is of
        lines[-2:] = [f"{lines[-2]} {lines[-1]}"]
    return "\n".join(lines)


def _narrow_cells(table: Table, line: Line) -> list[Text]:
    """Both ends of an interval below their value, each word of a state on a line."""
    cells = _cells(table, line)
    for text in cells[1:]:
        text.plain = text.plain.replace(" [", "\n[").replace(", collapsed", "\ncollapsed")
    return cells


def _left_out(boards: Boards, console: Console, most: int | None = None) -> None:
    """What is not in the tables, and why. Of more reasons than `most` only how many there are."""
    told = most is None or len(boards.reasons) <= most
    why = boards.reasons if told else [f"{len(boards.reasons)} reasons, with --full"]
    _list(console, "Why there are several boards", why, "dim")
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
