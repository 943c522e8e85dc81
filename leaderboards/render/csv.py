"""Boards -> CSV for programs: every value of every row, whole."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

from bench.record import CUSTOM, canonical_json, write_atomic
from bench.text.escapes import csv_text
from leaderboards.formats import ends, of_change
from leaderboards.schema import Board, Boards, Curve, RankedMean, Row, Trace

__all__ = ["CSV_COLUMNS", "lines", "to_csv", "write"]

CSV_COLUMNS = (
    *("board", "task", "task_version", "task_config", "data_sha256", "scale", "model", "label", "config_hash"),
    *("origin", "status", "tier", "trained_by", "baseline", "n_completed", "n_started"),
    *("n_collapsed", "real_sentences", "table", "temperature", "key", "mean"),
    *("half_width", "low", "high", "n", "signature", "better", "rank", "rank_high", "as_recorded"),
)
"""`table`: final (temperature 1), gain (end minus end of pre-training), temperature (every temperature), `matched x`
(the score where x is the baseline's), `over_baseline x` (that, minus the baseline's), seconds (training: the median).
`tier`: reported, verified or retrained (`schema.Tier`); `trained_by`: names, where runs were handed in with one.
`low`, `high`: the ends of the interval, cut at the range of the score. `as_recorded`: of verified rows, whether
something in the value was not computed again. Rows of status `apart` have the tables apart and apart_temperature
instead: their temperature 1 is another one."""


def to_csv(boards: Boards) -> str:
    """Long format, one value a line, full precision; blank where there is nothing. Measured rows only.

    `bench.text.escapes.csv_cell` says what becomes of a name that a spreadsheet would take for a formula.
    """
    return csv_text(CSV_COLUMNS, lines(boards))


def lines(boards: Boards) -> Iterator[dict[str, object]]:
    """Every value with its row and board: `CSV_COLUMNS` -> value, None where there is nothing."""
    for board in boards.boards:
        shared = {
            "board": board.number,
            "task": board.task,
            "task_version": board.task_version,
            "task_config": canonical_json(board.task_config),
            "data_sha256": board.data_sha256,
        }
        traces: dict[str, list[tuple[Curve, Trace]]] = {}
        for curve in board.curves:
            for trace in curve.traces:
                traces.setdefault(trace.label, []).append((curve, trace))
        for row in (*board.rows, *board.apart):
            for value in itertools.chain(_scores(row), _matched(traces.get(row.label, ())), _seconds(row)):
                yield shared | _line(board, row, value)


_Value = tuple[str, float | None, str, RankedMean]
"""Table, temperature, key, value."""


def _scores(row: Row) -> Iterable[_Value]:
    apart = row.status == "apart"
    for key, mean in sorted(row.final.items()):
        yield "apart" if apart else "final", 1.0, key, mean
    for key, mean in sorted(row.gain.items() if not apart else ()):
        yield "gain", 1.0, key, mean
    for temperature, means in sorted(row.sweep.items()):
        for key, mean in sorted(means.items()):
            yield "apart_temperature" if apart else "temperature", temperature, key, mean


def _matched(traces: Iterable[tuple[Curve, Trace]]) -> Iterable[_Value]:
    for curve, trace in traces:
        if trace.matched is not None:
            yield f"matched {curve.x}", None, curve.y, trace.matched
        if trace.over_baseline is not None:
            yield f"over_baseline {curve.x}", None, curve.y, trace.over_baseline


def _seconds(row: Row) -> Iterable[_Value]:
    for phase, seconds in row.seconds.items():
        yield "seconds", None, phase, RankedMean(mean=seconds, std=None, half_width=None, n=row.n_completed)


def _line(board: Board, row: Row, value: _Value) -> dict[str, object]:
    table, temperature, key, mean = value
    scored = table != "seconds"
    low = high = None
    if mean.half_width is not None:
        bounds = board.meanings[key].bounds
        change = table == "gain" or table.startswith("over_baseline")
        low, high = ends(mean.mean, mean.half_width, of_change(bounds) if change else bounds)
    return {
        "model": row.model,
        "label": row.label,
        "scale": CUSTOM if row.changed else board.scale,
        "config_hash": row.config_hash,
        "origin": row.origin,
        "status": row.status,
        "tier": row.tier,
        "trained_by": "; ".join(row.trained_by) or None,
        "baseline": int(row.baseline),
        "n_completed": row.n_completed,
        "n_started": row.n_started,
        "n_collapsed": row.collapsed,
        "real_sentences": row.real_sentences,
        "table": table,
        "temperature": temperature,
        "key": key,
        "mean": mean.mean,
        "half_width": mean.half_width,
        "low": low,
        "high": high,
        "n": mean.n,
        "signature": board.signatures[key] if scored else None,
        "better": board.better[key] if scored else None,
        "rank": mean.rank,
        "rank_high": mean.rank_high,
        "as_recorded": int(mean.as_recorded) if row.verified and scored else None,
    }


def write(boards: Boards, path: Path) -> Path:
    """Write the file, atomically; returns its path."""
    write_atomic(path, to_csv(boards).encode())
    return path
