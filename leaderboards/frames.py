"""Records and tables as pandas frames, for notebooks and scripts: the values behind every table and figure, whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from bench.record import RunRecord, read_record
from bench.registry import meaning_of
from bench.run_folder import records_in
from leaderboards.boards import build
from leaderboards.render.csv import CSV_COLUMNS, lines

__all__ = ["scores_frame", "table_frame"]

_SCORE_COLUMNS = (
    *("task", "model", "seed", "scale", "status", "run_id", "config_hash", "phase", "step", "at", "temperature"),
    *("key", "value", "standard_error", "better", "signature", "path"),
)


def scores_frame(*places: Path | str) -> pd.DataFrame:
    """A line for each score of each evaluation of each record in folders, at any depth, or in record files.

    Nothing is left out or averaged: of two runs of one seed both are there, and failed runs have what they measured.
    Raises FileNotFoundError, and ValueError for a record that cannot be read.
    """
    rows: list[dict[str, object]] = []
    for place in map(Path, places):
        for path in records_in(place):
            rows += _scores(read_record(path), path)
    return pd.DataFrame(rows, columns=list(_SCORE_COLUMNS)).astype({"seed": "Int64"})


def _scores(record: RunRecord, path: Path) -> Iterator[dict[str, object]]:
    names = ("task", "model", "seed", "scale", "status", "run_id", "config_hash")
    run = {name: getattr(record, name) for name in names} | {"path": str(path), "scale": record.shown_scale}
    for e in record.evaluations:
        where = {"phase": e.phase, "step": e.step, "at": e.at, "temperature": e.temperature}
        for key, score in e.scores.items():
            number = {"key": key, "value": score.value, "standard_error": score.standard_error}
            better = meaning_of(score.metric, key, score.better).better
            yield run | where | number | {"better": better, "signature": score.signature}


def table_frame(*places: Path | str) -> pd.DataFrame:
    """What `leaderboards build` writes to leaderboard.csv: means over seeds, intervals, ranks, a line for each value.

    `table` says what the value is: `final`, `gain`, `temperature`, `matched x`, `over_baseline x`, `seconds`. Records
    that cannot be read are left out, as on the leaderboard. Raises FileNotFoundError for a place that does not exist.
    """
    frame = pd.DataFrame(list(lines(build(map(Path, places)))), columns=list(CSV_COLUMNS))
    numbers = ("temperature", "half_width", "low", "high", "real_sentences")
    return frame.astype({"rank": "Int64", "rank_high": "Int64"} | dict.fromkeys(numbers, float))
