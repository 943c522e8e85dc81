"""Boards -> Markdown: one document with everything, or a short one that leads to a page for each board."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

import pandas as pd

from bench.record import write_atomic
from leaderboards.findings import finding, sentences
from leaderboards.findings import tables as findings_tables
from leaderboards.formats import plain
from leaderboards.headline import n_trained
from leaderboards.schema import Board, Boards
from leaderboards.tables.board import main_table, text_tables
from leaderboards.tables.cells import Cell, Column, Table
from leaderboards.tables.legend import facts, heading, legend, short_legend, signatures
from leaderboards.words import names_of, page_names

__all__ = [
    "FINDINGS",
    "LEGEND",
    "LINES",
    "findings_of",
    "markdown_table",
    "to_markdown",
    "to_overview",
    "to_pages",
    "write",
]

LINES = 200
"""Of the short leaderboard, at most."""
LEGEND = "legend.md"
"""The page that says how to read the others."""
FINDINGS = "findings.md"
"""The page with every change and comparison behind the findings."""
_ROWS = 12
"""Of a main table, at most."""
_FEWEST = 9
"""Of a main table, where boards have to share the lines: MLE, real text, controls and a few models."""
_SPECIAL = re.compile(r"([\\`*\[\]<>&|~#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")


def _escape(text: str) -> str:
    """Text -> Markdown that shows it: names may hold pipes, tags and line breaks."""
    return _SPECIAL.sub(r"\\\1", plain(text)).replace("://", r"\://")


def to_markdown(boards: Boards) -> str:
    """One document with everything: legend, boards, and what was left out and why."""
    blocks = ["# Leaderboard", *(_escape(line) for line in legend(boards))]
    for board in boards.boards:
        blocks += [f"## {_escape(heading(board))}", *_whole(board)]
    return _document([*blocks, *_remarks(boards)])


def _whole(board: Board) -> Iterator[str]:
    """Everything below a board's heading."""
    if line := facts(board):
        yield f"Data: {_escape(line)}."
    for table in text_tables(board):
        yield from (f"### {_escape(table.title)}", markdown_table(table), _bullets(table.notes))
    if board.signatures:
        yield from ("### Signatures", _bullets(signatures(board)))
    if board.notes:
        yield from ("### Notes", _bullets(board.notes))


def findings_of(boards: Boards) -> tuple[list[str], list[Table]]:
    """What the boards answer together, in words and as tables; nothing where they answer nothing."""
    found, names = finding(boards.boards), names_of(boards)
    if found is None:
        return [], []
    return sentences(found, lambda board: names[board.number]), findings_tables(found, lambda b: names[b.number])


def to_overview(boards: Boards, pages: str, figure: str = "") -> str:
    """The short leaderboard: findings, contents, a main table for each board with a link to its page below `pages`.

    `figure` is a picture as Markdown has it, shown below the findings.

    It has at most `LINES` lines: of more boards the tables get fewer rows; where `_FEWEST` are too many, the boards
    that compare the fewest models have no table here, but a link to their page.
    """
    names, files = names_of(boards), page_names(boards)
    findings, _ = findings_of(boards)
    if findings:
        findings[0] += f" [Every change and comparison]({_address(pages, FINDINGS)})."
    addresses = {number: _address(pages, f"{name}.md") for number, name in files.items()}
    top = ["# Leaderboard", *(["## Findings", "\n".join(f"- {line}" for line in findings)] if findings else []), figure]
    order = [b.number for b in sorted(boards.boards, key=lambda board: (-n_trained(board), board.number))]
    how = f"[How to read it all]({_address(pages, LEGEND)})."
    reading = " ".join([*map(_escape, short_legend(boards.boards)), how])
    text = ""
    for most in range(_ROWS, _FEWEST - 1, -1):
        tables = {board.number: _main(board, names, addresses, most) for board in boards.boards}
        for n in range(len(order), -1 if most == _FEWEST else len(order) - 1, -1):
            told = {*order[:n]}
            shown = [board.number for board in boards.boards if board.number in told]
            contents = _contents(boards, names, addresses, shown)
            text = _document([*top, "## Boards", contents, reading, *chain(*(tables[number] for number in shown))])
            if text.count("\n") <= LINES:
                return text
    return text


def _contents(boards: Boards, names: Mapping[int, str], addresses: Mapping[int, str], shown: Sequence[int]) -> str:
    """Every board, with a link to its table below, or to its page where it is not among those shown."""
    links = dict(zip(shown, _anchors([names[number] for number in shown]), strict=True))
    lines = []
    for board in boards.boards:
        target = f"#{links[board.number]}" if board.number in links else addresses[board.number]
        rows = _counted(len(board.rows + board.apart))
        lines.append(f"{board.number}. [{_escape(names[board.number])}]({target}): {rows}")
    return "\n".join(lines)


def _main(board: Board, names: Mapping[int, str], addresses: Mapping[int, str], most: int) -> list[str]:
    """A board's main table of at most so many rows, below its name."""
    table, left_out = main_table(board, most)
    more = f", and {_counted(left_out)} more" if left_out else ""
    where = f"[All scores, temperatures, costs and notes]({addresses[board.number]}){more}."
    return [f"### {_escape(names[board.number])}", markdown_table(table), *map(_escape, table.notes), where]


def _counted(rows: int) -> str:
    return f"{rows} row" if rows == 1 else f"{rows} rows"


def _anchors(titles: Iterable[str]) -> list[str]:
    """Where GitHub and MkDocs put a heading: letters, digits, `-` and `_`; a repeated one gets a number."""
    found: list[str] = []
    taken: dict[str, int] = {}
    for title in titles:
        anchor = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        taken[anchor] = taken.get(anchor, -1) + 1
        found.append(f"{anchor}-{taken[anchor]}" if taken[anchor] else anchor)
    return found


def _address(folder: str, name: str) -> str:
    """A relative address as a link may have it."""
    return quote(f"{folder.rstrip('/')}/{name}" if folder else name)


def to_pages(
    boards: Boards, back: str, changes: str = "", curves: Mapping[int, str] = MappingProxyType({})
) -> dict[str, str]:
    """Name of a file -> its text: all tables of each board, and the legend. `back` leads to the overview.

    `changes` is a picture of the findings as Markdown has it, `curves` are such pictures of boards.
    """
    names, files = names_of(boards), page_names(boards)
    home = f"[All boards]({quote(back)})"
    found = {
        LEGEND: _document(
            ["# How to read the boards", home, *(_escape(line) for line in legend(boards)), *_remarks(boards)]
        )
    }
    said, tables = findings_of(boards)
    if said:
        parts = [(f"## {table.title}", markdown_table(table), _bullets(table.notes)) for table in tables]
        found[FINDINGS] = _document(["# Findings", home, _bullets(said), changes, *chain.from_iterable(parts)])
    for board in boards.boards:
        top = f"{home} · [How to read this]({LEGEND})"
        what = _escape(heading(board, numbered=False))
        main, _ = main_table(board, len(board.first_rows))
        found[f"{files[board.number]}.md"] = _document(
            [
                f"# {_escape(names[board.number])}",
                top,
                f"Board {board.number}: {what}",
                curves.get(board.number, ""),
                "### Main scores",
                markdown_table(main),
                _bullets(main.notes),
                *_whole(board),
            ]
        )
    return found


def _document(blocks: Iterable[str]) -> str:
    return "\n\n".join(block for block in blocks if block) + "\n"


def _remarks(boards: Boards) -> Iterator[str]:
    sections = [
        ("Why there are several boards", boards.reasons),
        ("Records not counted", boards.notices),
        ("Records not readable", boards.problems),
    ]
    for title, lines in sections:
        if lines:
            yield from (f"## {title}", _bullets(lines))


def markdown_table(table: Table) -> str:
    """A table alone."""
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
    """Write one document with everything, atomically; returns its path."""
    write_atomic(path, to_markdown(boards).encode())
    return path
