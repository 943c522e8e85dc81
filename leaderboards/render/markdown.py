"""Boards -> Markdown for readers and CSV for programs."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from bench.record import canonical_json, write_atomic
from leaderboards.schema import Board, Boards, Cell, Curve, Row, Trace
from leaderboards.tables import facts, heading, legend, parts, signatures
from leaderboards.text import Part, Table, plain

__all__ = ["CSV_COLUMNS", "escape", "to_csv", "to_markdown", "write"]

CSV_COLUMNS = (
    *("board", "task", "task_version", "task_config", "data_sha256", "scale", "model", "label", "config_hash"),
    *("origin", "status", "evidence", "baseline", "n_completed", "n_started", "table", "temperature", "key", "mean"),
    *("half_width", "n", "signature", "better", "rank", "rank_high"),
)
"""`table`: final (temperature 1), gain (end minus end of pre-training), temperature (every temperature), `matched x`
(quality at the baseline's diversity x), `over_baseline x` (that, minus the baseline's), seconds (training, by phase).
Rows of status `apart` have the tables apart and apart_temperature instead: their temperature 1 is another one."""

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
    aligned = ["left" if i in table.words else "right" for i in range(len(table.header))]
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
        shared = {
            "board": board.number,
            "task": board.task,
            "task_version": board.task_version,
            "task_config": canonical_json(board.task_config),
            "data_sha256": board.data_sha256,
            "scale": board.scale,
        }
        traces: dict[str, list[tuple[Curve, Trace]]] = {}
        for curve in board.curves:
            for trace in curve.traces:
                traces.setdefault(trace.label, []).append((curve, trace))
        for row in (*board.rows, *board.apart):
            values = itertools.chain(_scores(row), _matched(traces.get(row.label, ())), _seconds(row))
            writer.writerows(_line(board, row, *value) | shared for value in values)
    return file.getvalue()


Value = tuple[str, float | str, str, Cell]
"""Table, temperature, key, value."""


def _scores(row: Row) -> Iterable[Value]:
    apart = row.status == "apart"
    for key, cell in sorted(row.final.items()):
        yield "apart" if apart else "final", 1.0, key, cell
    for key, cell in sorted(row.gain.items() if not apart else ()):
        yield "gain", 1.0, key, cell
    for temperature, cells in sorted(row.sweep.items()):
        for key, cell in sorted(cells.items()):
            yield "apart_temperature" if apart else "temperature", temperature, key, cell


def _matched(traces: Iterable[tuple[Curve, Trace]]) -> Iterable[Value]:
    for curve, trace in traces:
        if trace.matched is not None:
            yield f"matched {curve.x}", "", curve.y, trace.matched
        if trace.over_baseline is not None:
            yield f"over_baseline {curve.x}", "", curve.y, trace.over_baseline


def _seconds(row: Row) -> Iterable[Value]:
    for phase, seconds in row.seconds.items():
        yield "seconds", "", phase, Cell(mean=seconds, std=None, half_width=None, n=row.n_completed)


def _line(board: Board, row: Row, table: str, temperature: float | str, key: str, cell: Cell) -> dict[str, object]:
    scored = table != "seconds"
    return {
        "model": row.model,
        "label": row.label,
        "config_hash": row.config_hash,
        "origin": row.origin,
        "status": row.status,
        "evidence": row.evidence,
        "baseline": int(row.baseline),
        "n_completed": row.n_completed,
        "n_started": row.n_started,
        "table": table,
        "temperature": temperature,
        "key": key,
        "mean": repr(cell.mean),
        "half_width": "" if cell.half_width is None else repr(cell.half_width),
        "n": cell.n,
        "signature": board.signatures[key] if scored else "",
        "better": board.better[key] if scored else "",
        "rank": "" if cell.rank is None else cell.rank,
        "rank_high": "" if cell.rank_high is None else cell.rank_high,
    }


def write(boards: Boards, folder: Path) -> tuple[Path, Path]:
    """Write `leaderboard.md` and `leaderboard.csv` into a folder, atomically; returns their paths."""
    markdown, table = folder / "leaderboard.md", folder / "leaderboard.csv"
    write_atomic(markdown, to_markdown(boards).encode())
    write_atomic(table, to_csv(boards).encode())
    return markdown, table
