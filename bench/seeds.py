"""Over seeds: which run of a seed counts, and the mean and interval of what several seeds gave.

A seed is the unit of replication and counts once. Of several runs of one seed the newest counts, whatever became of it:
choosing by score, or a completed run rather than a failed one, would report the best of several tries. A failed run is
then a seed that was started and gave nothing.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from bench.record import RunRecord

__all__ = ["CONFIDENCE", "MeanOverSeeds", "half_width", "mean_over_seeds", "newest_of_each", "t_quantile"]

CONFIDENCE = 0.95
"""Of every interval over seeds."""

Item = TypeVar("Item")


def newest_of_each(
    items: Iterable[Item],
    *,
    key: Callable[[Item], Hashable],
    record: Callable[[Item], RunRecord],
    place: Callable[[Item], str] = lambda _: "",
) -> tuple[list[Item], list[tuple[Item, Item]]]:
    """The items that count, one for each `key`, and the others, each with the next newer one, which took its place.

    `key` says what is one seed of one row; `place` orders records of one moment.
    """
    newest: dict[Hashable, Item] = {}
    replaced: list[tuple[Item, Item]] = []
    for item in sorted(items, key=lambda each: (record(each).moment, place(each))):
        name = key(item)
        if name in newest:
            replaced.append((newest[name], item))
        newest[name] = item
    return list(newest.values()), replaced


@dataclass(frozen=True)
class MeanOverSeeds:
    """A mean with its interval."""

    mean: float
    std: float | None
    """Sample standard deviation; None with one seed."""
    half_width: float | None
    """Of the 95% t-interval; None with one seed."""
    n: int


def mean_over_seeds(values: Sequence[float]) -> MeanOverSeeds | None:
    """Mean and 95% t-interval of one value for each seed; None without a value."""
    if not values:
        return None
    std = statistics.stdev(values) if len(values) > 1 else None
    return MeanOverSeeds(statistics.fmean(values), std, half_width(std, len(values)), len(values))


def half_width(std: float | None, n: int) -> float | None:
    """Of the 95% t-interval of a mean of n values with this standard deviation; None with one."""
    return None if std is None else t_quantile(n - 1) * std / math.sqrt(n)


@cache
def t_quantile(degrees: float, confidence: float = CONFIDENCE) -> float:
    """Half of the interval of Student's t, in standard errors."""
    from scipy.special import stdtrit  # what scipy.stats.t.ppf calls, without the half second that importing that takes

    return float(stdtrit(degrees, (1 + confidence) / 2))
