"""What a stranger sees first: a short leaderboard, a page for each board, a figure, and the block in the README."""

from __future__ import annotations

import html
import os
from pathlib import Path
from urllib.parse import quote

from bench.record import write_atomic
from leaderboards.headline import FRONTIER, headline_curve, leading_board
from leaderboards.render.changes import write_changes
from leaderboards.render.markdown import FINDINGS, LEGEND, findings_of, markdown_table, to_overview, to_pages
from leaderboards.render.plots import write_curve, write_front
from leaderboards.schema import FULL_SCALE, Board, Boards
from leaderboards.tables.board import main_table
from leaderboards.tables.reported import with_published
from leaderboards.words import names_of, page_names

__all__ = ["BEGIN", "END", "FIGURE", "check_readme", "readme_block", "write_overview", "write_readme"]

BEGIN = "<!-- headline: written by the command `build` with --readme, not by hand -->"
END = "<!-- headline: end -->"
FIGURE = "quality-diversity"
"""Name of the figure's file, without its ending, among the pages."""
_CHANGES = "adversarial-phases"
"""The same of the figure of the findings."""
_FRONTIER = "-frontier"
"""What is added to the name of a board's page, where it has that figure."""
_ROWS = 12
"""Of the README's table, at most."""
_CHANGES_IN_WORDS = "Change of each loss over each adversarial phase, with 95% intervals over seeds: the numbers below"


def write_overview(boards: Boards, path: Path, pages: Path) -> list[Path]:
    """Write the short leaderboard and, into the folder `pages`, what it leads to; returns the paths.

    Pages of boards that are no more are taken away; no other file of the folder is touched.
    """
    back = _relative(path, pages)
    pages.mkdir(parents=True, exist_ok=True)
    changes = _picture(write_changes(boards, pages / _CHANGES), pages / FINDINGS, _CHANGES_IN_WORDS)
    frontiers = {board.number: _frontier(boards, board, pages) for board in boards.boards}
    found = {pages / name: text for name, text in to_pages(boards, back, changes, frontiers).items()}
    for old in pages.glob("*.md"):
        if old not in found and _is_page(old, back):
            old.unlink()
            for picture in pages.glob(f"{old.stem}{_FRONTIER}*.svg"):
                picture.unlink()
    figure = _figure(boards, path, pages)
    found[path] = to_overview(boards, _relative(pages, path.parent), figure)
    for target, text in found.items():
        write_atomic(target, text.encode())
    return [path, pages]


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def _is_page(path: Path, back: str) -> bool:
    """Whether this module wrote it: its third line leads back to the overview."""
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return len(lines) > 2 and lines[2].startswith(f"[All boards]({quote(back)})")


def _figure(boards: Boards, path: Path, pages: Path) -> str:
    """Write the figure among the pages; how a document at `path` shows it, empty where there is none."""
    board = leading_board(boards)
    return "" if board is None else _picture(write_front(boards, pages / FIGURE), path, _alt(boards, board))


def _frontier(boards: Boards, board: Board, pages: Path) -> str:
    """Write the true NLL against the model's own entropy, where the truth is known; how the board's page shows it."""
    curve = next((c for c in board.curves if (c.x, c.y) == FRONTIER), None)
    if curve is None:
        return ""
    page = page_names(boards)[board.number]
    written = write_curve(boards, board, curve, pages / f"{page}{_FRONTIER}")
    return _picture(written, pages / f"{page}.md", f"{curve.y} against {curve.x}, each row over temperature")


def _picture(written: tuple[Path, Path] | None, path: Path, alt: str) -> str:
    """How a document at `path` shows a figure for a light and for a dark ground."""
    if written is None:
        return ""
    light, dark = (quote(_relative(picture, path.parent)) for picture in written)
    source = f'<source media="(prefers-color-scheme: dark)" srcset="{dark}">'
    return f'<picture>{source}<img src="{light}" alt="{html.escape(alt)}"></picture>'


def _alt(boards: Boards, board: Board) -> str:
    curve = headline_curve(board)
    keys = f"{curve.y} against {curve.x}" if curve is not None else ""
    return f"{keys}, each row over temperature: {names_of(boards)[board.number]}"


def check_readme(path: Path) -> None:
    """Raises ValueError where a file does not hold the two marks between which the block is written."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"{path}: the block is written between two lines, each there once: {BEGIN} and {END}")


def readme_block(boards: Boards, overview: str, pages: str, figure: str = "") -> str:
    """The answer, the figure and the main table of the board that stands for all, as Markdown; empty without boards.

    `overview` and `pages` are where the short leaderboard and the pages of boards lie, seen from the README.
    """
    board = leading_board(boards) or next(iter(boards.boards), None)
    if board is None:
        return ""
    table, _ = main_table(board, _ROWS)
    table, source = with_published(board, table)
    name, page = names_of(boards)[board.number], quote(f"{pages}/{page_names(boards)[board.number]}.md")
    legend = quote(f"{pages}/{LEGEND}")
    told = [f"**[{name}]({page})**, one of {len(boards.boards)} [boards]({quote(overview)}); [marks]({legend})."]
    told += table.notes
    if board.scale != FULL_SCALE:
        told.append("A board of a reduced scale decides nothing about a published number.")
    if source:
        told.append(f"Published: {source}; in brackets what was measured otherwise.")
    blocks = [" ".join(findings_of(boards)[0][:2]), figure, markdown_table(table), " ".join(told)]
    return "\n\n".join(block for block in blocks if block)


def write_readme(boards: Boards, path: Path, overview: Path, pages: Path) -> Path:
    """Write the block between the marks of a README, and its figure among the pages; returns the README's path."""
    check_readme(path)
    text = path.read_text(encoding="utf-8")
    figure = _figure(boards, path, pages)
    block = readme_block(boards, _relative(overview, path.parent), _relative(pages, path.parent), figure)
    before, after = text[: text.index(BEGIN)], text[text.index(END) :]
    write_atomic(path, f"{before}{BEGIN}\n\n{block}\n\n{after}".encode())
    return path
