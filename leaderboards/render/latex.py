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
from leaderboards.schema import Board, Boards
from leaderboards.tables import facts, heading, legend, parts
from leaderboards.text import Part, Table, plain

__all__ = ["escape", "to_latex", "write"]

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
    "·": r"$\cdot$",
    "×": r"$\times$",
    "–": "--",
    "…": r"\ldots{}",
}
_LATIN_1 = frozenset(map(chr, range(0xC0, 0x100))) - frozenset("×÷ÐðÞþ")
"""Letters that pdfLaTeX makes from its default fonts; those left out need another font encoding."""
_LIGATURE = re.compile(r"([-'`,?!])(?=[-'`,])")
_NUMBER = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")


def escape(text: str) -> str:
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
        lines += [f"% Data: {told}"] if (told := facts(board)) else []
        for number, table in enumerate(parts(board), 1):
            lines += ["", *_table(board, number, table)]
    return "\n".join(lines) + "\n"


def _table(board: Board, number: int, table: Table) -> Iterable[str]:
    kind = "table*" if len(table.header) > _WIDE else "table"
    yield f"\\begin{{{kind}}}[tb]"
    yield r"  \centering\small"
    what = heading(board).partition(". ")[2]  # without the board's number
    yield f"  \\caption{{{escape(f'{table.title}. {what}.')}}}"
    yield f"  \\label{{tab:board{board.number}-{number}}}"
    yield rf"  {_NO_WIDER}{{%"
    yield f"  \\begin{{tabular}}{{{''.join('l' if i in table.words else 'r' for i in range(len(table.header)))}}}"
    yield r"    \toprule"
    yield _line(escape(name) for name in table.header)
    yield r"    \midrule"
    for i, row in enumerate(table.rows):
        yield _line(_cell(part, words=j in table.words) for j, part in enumerate(row))
        if i in table.breaks and i < len(table.rows) - 1:
            yield r"    \midrule"
    yield r"    \bottomrule"
    yield r"  \end{tabular}}"
    for line in table.under:
        yield rf"  \par\smallskip{{\footnotesize {escape(line)}\par}}"
    yield f"\\end{{{kind}}}"


def _line(cells: Iterable[str]) -> str:
    return f"    {' & '.join(cells)} \\\\"


def _cell(part: Part, *, words: bool) -> str:
    """Of a number, the mean alone is bold, and a sign is a minus."""
    match = None if words else _NUMBER.match(part.text)
    if match is None:
        text = escape(part.text)
        return rf"\textbf{{{text}}}" if part.strong else text
    mean = match[0].replace("-", "$-$").replace(",", "{,}")
    rest = escape(part.text[match.end() :])
    return (rf"\textbf{{{mean}}}" if part.strong else mean) + rest


def write(boards: Boards, folder: Path) -> Path:
    """Write `leaderboard.tex` into a folder, atomically; returns its path."""
    path = folder / "leaderboard.tex"
    write_atomic(path, to_latex(boards).encode())
    return path
