"""Means and intervals over seeds. The unit of replication is the seed, never the sentence.

The interval is Student's t over seeds, 95%, two-sided: half width = t(0.975, n - 1) s / sqrt(n). With one seed there is
none. Nothing is rounded here.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache

import pandas as pd
from scipy import stats

from leaderboards.schema import Cell, Row

__all__ = ["cell", "fill"]


def cell(values: Sequence[float]) -> Cell:
    """The cell of one value per seed; at least one."""
    n = len(values)
    std = statistics.stdev(values) if n > 1 else None
    return Cell(mean=statistics.fmean(values), std=std, half_width=_half_width(std, n), n=n)


def _half_width(std: float | None, n: int) -> float | None:
    return None if std is None else _quantile(n - 1) * std / math.sqrt(n)


@cache
def _quantile(degrees: int) -> float:
    return float(stats.t.ppf(0.975, degrees))


def fill(rows: Sequence[Row]) -> list[str]:
    """Put means and intervals of the completed runs into the rows; returns what has fewer seeds than its row."""
    frame = pd.DataFrame(list(_values(rows)), columns=["row", "table", "temperature", "key", "value"])
    grouped = frame.groupby(["row", "table", "temperature", "key"], sort=True)["value"].agg(["count", "mean", "std"])
    fewer = []
    for index, table, temperature, key, count, mean, std in grouped.reset_index().itertuples(index=False, name=None):
        row, n = rows[index], int(count)
        spread = float(std) if n > 1 else None
        made = Cell(mean=float(mean), std=spread, half_width=_half_width(spread, n), n=n)
        if table == "seconds":
            row.seconds[key] = made.mean
        elif table == "gain":
            row.gain[key] = made
        else:
            row.sweep.setdefault(temperature, {})[key] = made
        if table == "end" and n < row.n_completed:
            at = "" if temperature == 1.0 else f" at temperature {temperature:g}"
            fewer.append(f"{row.label}: {key}{at} over {n} of {row.n_completed} completed seeds")
    for row in rows:
        row.final = {key: replace(c) for key, c in row.sweep.get(1.0, {}).items()}  # these get ranks
        names = dict.fromkeys(name for run in row.runs for name, _ in run.borders)
        row.seconds = {name: row.seconds[name] for name in names if name in row.seconds}
    return fewer


def _values(rows: Sequence[Row]) -> Iterable[tuple[int, str, float, str, float]]:
    """(row, table, temperature, key, value) of every completed run."""
    for index, row in enumerate(rows):
        for run in (run for run in row.runs if run.status == "completed"):
            for temperature, values in run.values.items():
                yield from ((index, "end", temperature, key, value) for key, value in values.items())
            yield from ((index, "gain", 1.0, key, value) for key, value in run.gain.items())
            yield from ((index, "seconds", 1.0, name, value) for name, value in run.seconds.items())
