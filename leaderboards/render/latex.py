r"""Boards -> LaTeX: one `table` per table, with booktabs. Everything from a record is escaped.

`\usepackage{booktabs,graphicx}` in the preamble and `\input{leaderboard.tex}` in the text is all that it takes, with
pdfLaTeX, XeLaTeX or LuaLaTeX. Letters that a pdfLaTeX without further packages does not know are written as `[U+4E2D]`.
A table that is wider than its page or column is scaled down to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from bench.record import write_atomic
from leaderboards.formats import plain
from leaderboards.schema import Board, Boards
from leaderboards.tables.board import text_tables
from leaderboards.tables.cells import Cell, Column, Table
from leaderboards.tables.legend import facts, heading, legend

__all__ = ["escape_latex", "to_latex", "write"]

_NO_WIDER = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}"
_WIDE = 6
"""Columns; a table of more spans both columns of a page."""
_KNOWN = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "†": r"$^{\dagger}$",
    "‡": r"$^{\ddagger}$",
    "✓": r"$\surd$",
    "°": r"$^{\circ}$",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "–": "--",
    "…": r"\ldots{}",
}
_LATIN_1 = frozenset(map(chr, range(0xC0, 0x100))) - frozenset("×÷ÐðÞþ")
"""Letters that pdfLaTeX makes from its default fonts; those left out need another font encoding."""
_LIGATURE = re.compile(r"([-'`,?!])(?=[-'`,])")


def escape_latex(text: str) -> str:
    """Text -> LaTeX that prints it: no command, no ligature, no letter that stops pdfLaTeX."""
    pieces = _LIGATURE.split(plain(text))  # every second piece begins a ligature
    return "".join(("{}" if i and i % 2 == 0 else "") + "".join(map(_letter, p)) for i, p in enumerate(pieces))


def _letter(letter: str) -> str:
    if letter in _KNOWN:
        return _KNOWN[letter]
    return letter if letter.isascii() or letter in _LATIN_1 else f"[U+{ord(letter):04X}]"


def to_latex(boards: Boards) -> str:
    """The tables of all boards; above each board what makes it, as a comment."""
    lines = ["% Needs \\usepackage{booktabs,graphicx}.", *(f"% {plain(line)}" for line in legend(boards))]
    for board in boards.boards:
        lines += ["", f"% {heading(board)}"]
        lines += [f"% Data: {line}"] if (line := facts(board)) else []
        for number, table in enumerate(text_tables(board), 1):
            lines += ["", *_table(board, number, table)]
    return "\n".join(lines) + "\n"


def _table(board: Board, number: int, table: Table) -> Iterable[str]:
    kind = "table*" if len(table.columns) > _WIDE else "table"
    yield f"\\begin{{{kind}}}[tb]"
    yield r"  \centering\small"
    what = heading(board, numbered=False)
    yield f"  \\caption{{{escape_latex(f'{table.title}. {what}.')}}}"
    yield f"  \\label{{tab:board{board.number}-{number}}}"
    yield rf"  {_NO_WIDER}{{%"
    yield f"  \\begin{{tabular}}{{{''.join('l' if column.left else 'r' for column in table.columns)}}}"
    yield r"    \toprule"
    yield _line(escape_latex(column.title) for column in table.columns)
    for _, lines in table.groups:
        yield r"    \midrule"
        for line in lines:
            yield _line(_cell(column, cell) for column, cell in zip(table.columns, line.cells, strict=True))
    yield r"    \bottomrule"
    yield r"  \end{tabular}}"
    for note in table.notes:
        yield rf"  \par\smallskip{{\footnotesize {escape_latex(note)}\par}}"
    yield f"\\end{{{kind}}}"


def _line(cells: Iterable[str]) -> str:
    return f"    {' & '.join(cells)} \\\\"


def _cell(column: Column, cell: Cell) -> str:
    """Of a number, the value alone is bold, and a sign is a minus."""
    value = escape_latex(column.value(cell))
    if not column.left:
        value = value.replace("-", "$-$").replace(",", "{,}")
    return (rf"\textbf{{{value}}}" if cell.strong else value) + escape_latex(column.after(cell))


def write(boards: Boards, folder: Path) -> Path:
    """Write `leaderboard.tex` into a folder, atomically; returns its path."""
    path = folder / "leaderboard.tex"
    write_atomic(path, to_latex(boards).encode())
    return path
