"""Boards -> one long table for programs, CSV or parquet: every score of every seed of every row."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from bench.record import canonical_json, write_atomic
from bench.text.escapes import csv_text
from leaderboards.schema import END, Board, Boards, Row, RunView
from leaderboards.words import names_of

__all__ = ["SCORE_COLUMNS", "score_lines", "write_csv", "write_parquet"]

SCORE_COLUMNS = (
    *("board", "board_name", "task", "task_version", "task_config", "data_sha256", "scale"),
    *("model", "label", "config_hash", "origin", "status", "tier", "verified"),
    *("trained_by", "seed", "run_id", "run_status", "alarms"),
    *("at", "phase", "step", "temperature", "key", "value", "metric", "aspect", "better", "signature"),
)
"""`at`: end (every temperature), phase_end and cadence (while training, temperature 1). A score that a run lacks has no
line. `tier` is the row's, `verified` and `trained_by` are the run's."""


def score_lines(boards: Boards) -> Iterator[dict[str, object]]:
    """`SCORE_COLUMNS` -> value, a line for each score; values are whole, None where there is nothing."""
    names = names_of(boards)
    for board in boards.boards:
        shared = {
            "board": board.number,
            "board_name": names[board.number],
            "task": board.task,
            "task_version": board.task_version,
            "task_config": canonical_json(board.task_config),
            "data_sha256": board.data_sha256,
            "scale": board.scale,
        }
        for row in (*board.rows, *board.apart):
            for run in row.runs:
                for line in _of_run(board, row, run):
                    yield shared | line


def _of_run(board: Board, row: Row, run: RunView) -> Iterator[dict[str, object]]:
    about = {
        **{name: getattr(row, name) for name in ("model", "label", "config_hash", "origin", "status", "tier")},
        **{name: getattr(run, name) for name in ("verified", "trained_by", "seed", "run_id")},
        "run_status": run.status,
        "alarms": ", ".join(sorted({alarm.kind for alarm in run.alarms})) or None,
    }
    last = next((point for point in reversed(run.learning) if point.at in END), None)
    end = {"at": "end", "phase": last.phase if last else None, "step": last.step if last else None}
    for temperature, values in sorted(run.values.items()):
        for key, value in sorted(values.items()):
            yield about | end | {"temperature": temperature} | _score(board, key, value)
    for point in run.learning:
        if point.at not in END:
            where = {"at": point.at, "phase": point.phase, "step": point.step, "temperature": 1.0}
            for key, value in sorted(point.values.items()):
                yield about | where | _score(board, key, value)


def _score(board: Board, key: str, value: float) -> dict[str, object]:
    meaning = board.meanings.get(key)
    return {
        "key": key,
        "value": value,
        "metric": board.metrics.get(key),
        "aspect": meaning.aspect if meaning else None,
        "better": meaning.better if meaning else None,
        "signature": board.signatures.get(key),
    }


def write_csv(boards: Boards, path: Path) -> Path:
    """Write every score as CSV, atomically; returns the path. Names that a spreadsheet would compute are escaped."""
    write_atomic(path, csv_text(SCORE_COLUMNS, score_lines(boards)).encode())
    return path


def write_parquet(boards: Boards, path: Path) -> Path:
    """Write every score as parquet, atomically; returns the path. Raises ImportError where pyarrow is not installed."""
    import pandas as pd

    frame = pd.DataFrame(list(score_lines(boards)), columns=list(SCORE_COLUMNS))
    file = BytesIO()
    frame.astype({"seed": "Int64", "step": "Int64"}).to_parquet(file, index=False, compression="zstd")
    write_atomic(path, file.getvalue())
    return path
