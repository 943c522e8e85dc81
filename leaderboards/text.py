"""Cells as text, for the terminal, Markdown and LaTeX. The only place that rounds."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from leaderboards.schema import Board, Cell, Row

__all__ = ["Part", "Table", "as_part", "breaks", "column", "duration", "head", "number", "places", "plain", "status"]

_ARROWS = {"higher": "↑", "lower": "↓", "real": "="}


@dataclass(frozen=True)
class Part:
    """The text of a cell."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """A table of text."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Part, ...], ...]
    breaks: frozenset[int] = frozenset()
    """Rows after which a line is drawn."""
    under: tuple[str, ...] = ()
    """What a reader must know, below the table."""
    words: frozenset[int] = frozenset({0})
    """Columns of words, which stand left and may be wrapped; the others are numbers."""


def plain(text: str) -> str:
    """One line without control, format or bidirectional characters: names come from other people's files."""
    return "".join(" " if c.isspace() else "\ufffd" if unicodedata.category(c)[0] == "C" else c for c in text)


def column(board: Board, key: str) -> str:
    """A score's key and which direction is better."""
    return f"{plain(key)} {_ARROWS[board.better[key]]}"


def head(row: Row) -> tuple[Part, Part, Part]:
    """Name, status and seeds: the first columns of a table."""
    seeds = "file" if row.origin == "samples" else f"{row.n_completed}/{row.n_started}"
    return Part(plain(row.label) + (" ‡" if row.front else "")), Part(status(row)), Part(seeds)


def status(row: Row) -> str:
    """How a row counts; a tick where its scores were recomputed from its samples."""
    word = "baseline" if row.baseline and row.status == "ranked" else row.status
    return word + (" ✓" if row.verified else "")


def breaks(rows: Sequence[Row]) -> frozenset[int]:
    """Rows below which another status begins."""
    return frozenset(i for i in range(len(rows) - 1) if rows[i].status != rows[i + 1].status)


def as_part(cell: Cell | None, *, strong: bool = False, signed: bool = False) -> Part:
    """A mean as it is printed: `0.712±.012`, `†` where it is beyond real text."""
    if cell is None:
        return Part("")
    mean = f"{cell.mean:+.3f}" if signed else number(cell.mean)
    return Part(mean + _half(cell.half_width) + ("†" if cell.beyond_real else ""), strong)


def places(cell: Cell | None) -> Part:
    """The places that a row may have, `1–3`; bold where it may be the first."""
    if cell is None or cell.rank is None or cell.rank_high is None:
        return Part("")
    text = f"{cell.rank}" if cell.rank == cell.rank_high else f"{cell.rank}–{cell.rank_high}"
    return Part(text, strong=cell.rank == 1)


def number(value: float) -> str:
    """Three decimals; large numbers with six digits."""
    return f"{value:.3f}" if abs(value) < 10_000 else f"{value:.6g}"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, two or three digits: `0.4 s`, `88 s`, `12.5 min`, `3.1 h`."""
    if seconds < 0.05:
        return "<.1 s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6_000 else f"{seconds / 3_600:.1f} h"


def _half(value: float | None) -> str:
    """An interval that is not zero is never printed as zero."""
    if value is None:
        return ""
    if value == 0:
        return "±0"
    return "±<.001" if value < 0.0005 else "±" + (number(value).removeprefix("0"))
