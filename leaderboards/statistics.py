"""Means and intervals over seeds. The unit of replication is the seed, never the sentence.

The interval is Student's t over seeds, 95%, two-sided: half width = t(0.975, n - 1) s / sqrt(n). With one seed there is
none. Nothing is rounded here.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from bench.seeds import half_width, mean_over_seeds
from leaderboards.schema import RANKED_SEEDS, RankedMean, Row

__all__ = ["fill", "front_keys", "mark_beyond_real", "mark_front", "pareto", "rank", "seed_mean"]


_DRAWS = 2_000
_CLEAR = 0.975

Floats = NDArray[np.float64]


def rank(rows: Sequence[Row], better: Mapping[str, str]) -> None:
    """Rank per key. "real" ranks by the distance to real text, and not at all on a board without it."""
    ranked = [row for row in rows if row.status == "ranked"]
    weights = {row.label: _Draws(row.label) for row in ranked}
    real = _real(rows)
    for key, direction in better.items():
        target = real.final[key].mean if real is not None and key in real.final else None
        if direction == "real" and target is None:
            continue
        entrants = [row for row in ranked if key in row.final and row.final[key].n >= RANKED_SEEDS]
        if not entrants:
            continue
        means = np.stack([weights[row.label].means(_values(row, key)) for row in entrants])
        clear = _clearly_below(_loss(means, direction, target))
        for i, row in enumerate(entrants):
            row.final[key].rank = 1 + int(clear[:, i].sum())
            row.final[key].rank_high = len(entrants) - int(clear[i].sum())


def _values(row: Row, key: str) -> list[float]:
    runs = (run.values.get(1.0, {}) for run in row.runs if run.status == "completed")
    return [values[key] for values in runs if key in values]


def _loss(means: Floats, direction: str, target: float | None) -> Floats:
    if direction == "real" and target is not None:
        return np.abs(means - target)
    return -means if direction == "higher" else means


class _Draws:
    """Which seeds a row's draws take: its own stream of random numbers, so that other rows change nothing."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._weights: dict[int, Floats] = {}

    def means(self, values: Sequence[float]) -> Floats:
        """One value per seed -> (draws,) means, widened for few seeds."""
        n, array = len(values), np.asarray(values)
        if np.ptp(array) == 0:
            return np.full(_DRAWS, array[0])
        if n not in self._weights:
            generator = np.random.default_rng(zlib.crc32(self._label.encode()))
            self._weights[n] = generator.multinomial(n, [1 / n] * n, size=_DRAWS) / n
        mean = array.mean()
        return np.asarray(mean + _widening(n) * (self._weights[n] @ (array - mean)))


@cache
def _widening(n: int) -> float:
    return float(math.sqrt(n / (n - 1)) * stats.t.ppf(0.975, n - 1) / stats.norm.ppf(0.975))


def _clearly_below(loss: Floats) -> NDArray[np.bool_]:
    """(rows, draws) -> (rows, rows): whether row i has the lower mean and is below row j in nearly all draws."""
    order = np.argsort(loss.mean(axis=1), kind="stable")
    loss = loss[order]
    low, high = loss.min(axis=1), loss.max(axis=1)
    clear = high[:, None] < low[None, :]
    for j in range(1, len(loss)):
        overlapping = np.flatnonzero(~clear[:j, j])  # a few neighbours: the others are told apart by their extremes
        if len(overlapping):
            first = overlapping[0]
            clear[first:j, j] = np.count_nonzero(loss[first:j] < loss[j], axis=1) >= _CLEAR * _DRAWS
    unsorted = np.empty_like(clear)
    unsorted[np.ix_(order, order)] = clear
    return unsorted


def _real(rows: Iterable[Row]) -> Row | None:
    return next((row for row in rows if row.model == "real_text"), None)


def mark_beyond_real(rows: Sequence[Row], better: Mapping[str, str]) -> None:
    """Mark what is better than real text by more than its interval."""
    real = _real(rows)
    for row in rows:
        for key, mean in row.final.items():
            if real is None or row is real or key not in real.final or better[key] == "real":
                continue
            ahead = mean.mean - real.final[key].mean
            margin = mean.half_width or 0.0
            mean.beyond_real = ahead > margin if better[key] == "higher" else ahead < -margin


def front_keys(rows: Iterable[Row]) -> tuple[str, str] | None:
    """BLEU and Self-BLEU of the highest order that a ranked row has."""
    keys = {key for row in rows if row.status == "ranked" for key in row.final}
    orders = [n for n in range(9, 0, -1) if {f"bleu_{n}", f"self_bleu_{n}"} <= keys]
    return (f"bleu_{orders[0]}", f"self_bleu_{orders[0]}") if orders else None


def mark_front(rows: Sequence[Row]) -> None:
    """Mark the ranked rows that no other one beats in BLEU and Self-BLEU."""
    if (keys := front_keys(rows)) is None:
        return
    having = [row for row in rows if row.status == "ranked" and set(keys) <= row.final.keys()]
    if len(having) > 1:
        points = [(-row.final[keys[0]].mean, row.final[keys[1]].mean) for row in having]
        for row, front in zip(having, pareto(points), strict=True):
            row.front = front


def pareto(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Which of some pairs of losses no other pair is as low as in both and lower than in one."""
    front = [False] * len(points)
    best, last = math.inf, (math.inf, math.inf)
    for i in sorted(range(len(points)), key=lambda i: points[i]):
        front[i] = points[i][1] < best or points[i] == last
        if points[i][1] < best:
            best, last = points[i][1], points[i]
    return front


def seed_mean(values: Sequence[float]) -> RankedMean:
    """Of one value per seed; at least one."""
    found = mean_over_seeds(values)
    assert found is not None
    return RankedMean(mean=found.mean, std=found.std, half_width=found.half_width, n=found.n)


def fill(rows: Sequence[Row]) -> list[str]:
    """Put means and intervals of the completed runs into the rows; returns what has fewer seeds than its row."""
    frame = pd.DataFrame(list(_by_table(rows)), columns=["row", "table", "temperature", "key", "value"])
    grouped = frame.groupby(["row", "table", "temperature", "key"], sort=True)["value"].agg(["count", "mean", "std"])
    fewer = []
    for index, table, temperature, key, count, mean, std in grouped.reset_index().itertuples(index=False, name=None):
        row, n = rows[index], int(count)
        spread = float(std) if n > 1 else None
        made = RankedMean(mean=float(mean), std=spread, half_width=half_width(spread, n), n=n)
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


def _by_table(rows: Sequence[Row]) -> Iterable[tuple[int, str, float, str, float]]:
    """(row, table, temperature, key, value) of every completed run."""
    for index, row in enumerate(rows):
        for run in (run for run in row.runs if run.status == "completed"):
            for temperature, values in run.values.items():
                yield from ((index, "end", temperature, key, value) for key, value in values.items())
            yield from ((index, "gain", 1.0, key, value) for key, value in run.gain.items())
            yield from ((index, "seconds", 1.0, name, value) for name, value in run.seconds.items())
