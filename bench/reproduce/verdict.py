"""When a published number and ours may be the same. Pure functions: numbers in, a verdict with its reason out.

**The rule.** Ours are the seeds that the preset fixed before any was run: n of them, with mean m and standard
deviation s. Published is v. Their distance is compared with what chance does to it, at 95%:

- v is **one run** (or how many is not said): another run of ours would vary by s as well, so v is *consistent* if it
  lies in the prediction interval of one more run, m ± t(n - 1) s sqrt(1 + 1/n).
- v is the **mean of k runs** with standard deviation r, printed or of k published runs: Welch's test,
  |v - m| <= t(f) sqrt(s^2/n + r^2/k), f by Welch and Satterthwaite. Where no r is printed, r is taken to be s.

Where seeds were added after a verdict had been seen, there were two looks, and each has half of the 5% (Bonferroni).

Else it *differs*. Consistent is not equal: `ODDS` has how large a difference the rule sees, and beside each verdict
stands that of a control. **The difference to the control** is judged by the same rule, with the variances of both
models added: it is what a paper claims, and much of what two laboratories do differently cancels in it.

- *undecided*: not all seeds that the preset fixed are there. Further seeds never enter a verdict, so that nobody can go
  on until it pleases.
- *not comparable*: there is a reason why the two do not measure the same: another scale, oracle, data, protocol or
  setting, or a failed seed. The reasons are listed, and no other verdict is given beside them.
- *no published number*: the score is shown, and there is nothing to compare it with.
- *not run*: nothing is measured.

A file of samples, or real text, has one score and no seeds: it is *consistent* if |m - v| is at most the preset's
tolerance, which holds rounding and, where text was drawn on either side, the sampling error; else it *differs*.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from bench.seeds import CONFIDENCE, MeanOverSeeds, t_quantile

__all__ = [
    "MIN_SEEDS",
    "ODDS",
    "VERDICTS",
    "Judgement",
    "Odds",
    "Reported",
    "half_width_of_difference",
    "judge",
    "judge_difference",
    "judge_score",
]

MIN_SEEDS = 3
"""Fewer seeds say too little of the spread; a preset fixes at least so many."""

Verdict = Literal["consistent", "differs", "undecided", "not comparable", "no published number", "not run"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

_ROUNDING = 1e-9
"""Of decimal numbers as floating point: 0.745 + 0.001 is no exact edge."""


@dataclass(frozen=True)
class Judgement:
    """A verdict and why."""

    verdict: Verdict
    reason: str = ""
    low: float | None = None
    """The least published value that would be consistent; None without a verdict."""
    high: float | None = None


@dataclass(frozen=True)
class Reported:
    """What is published of one score: the mean of some runs, and their spread if it is known."""

    value: float
    n: int = 1
    """Runs; 1 where nobody says how many."""
    std: float | None = None
    """Over these runs."""

    @classmethod
    def of_runs(cls, values: Sequence[float]) -> Reported:
        """Single runs that were published one by one."""
        return cls(statistics.fmean(values), len(values), statistics.stdev(values) if len(values) > 1 else None)


@dataclass(frozen=True)
class Odds:
    """How often the rule says "consistent", by simulation: normal runs of equal spread on both sides."""

    ours: int
    """Seeds."""
    published: int
    """Runs; with more than one, their standard deviation is known. Of a control, where there is one, as many."""
    control: int
    """Seeds of the control, to which the difference is judged; 0: the number itself is."""
    looks: int
    """Verdicts that were seen, the last with all seeds."""
    consistent: tuple[float, ...]
    """By how many standard deviations of one run the true means differ: 0, 1, 2, 3, 4, 5, 6."""


ODDS = (
    Odds(3, 1, 0, 1, (0.95, 0.92, 0.82, 0.68, 0.53, 0.38, 0.25)),
    Odds(6, 1, 0, 1, (0.95, 0.88, 0.67, 0.39, 0.16, 0.04, 0.01)),
    Odds(6, 1, 0, 2, (0.97, 0.93, 0.80, 0.56, 0.30, 0.12, 0.04)),
    Odds(20, 1, 0, 1, (0.95, 0.85, 0.54, 0.21, 0.04, 0.00, 0.00)),
    Odds(3, 2, 0, 1, (0.96, 0.91, 0.76, 0.57, 0.40, 0.29, 0.22)),
    Odds(3, 3, 0, 1, (0.97, 0.88, 0.63, 0.32, 0.12, 0.03, 0.01)),
    Odds(6, 4, 0, 1, (0.95, 0.75, 0.28, 0.04, 0.00, 0.00, 0.00)),
    Odds(6, 4, 0, 2, (0.98, 0.84, 0.43, 0.11, 0.02, 0.00, 0.00)),
    Odds(3, 6, 0, 1, (0.95, 0.79, 0.44, 0.17, 0.05, 0.01, 0.00)),
    Odds(6, 6, 0, 1, (0.95, 0.67, 0.13, 0.00, 0.00, 0.00, 0.00)),
    Odds(3, 1, 6, 1, (0.95, 0.92, 0.83, 0.67, 0.49, 0.31, 0.18)),
    Odds(3, 3, 6, 1, (0.96, 0.90, 0.69, 0.39, 0.16, 0.04, 0.01)),
    Odds(6, 1, 6, 1, (0.95, 0.92, 0.79, 0.59, 0.36, 0.17, 0.06)),
    Odds(6, 1, 6, 2, (0.98, 0.96, 0.87, 0.72, 0.51, 0.30, 0.14)),
    Odds(6, 6, 6, 1, (0.95, 0.80, 0.37, 0.07, 0.00, 0.00, 0.00)),
)
"""200,000 draws each. Against one published run no 95% rule sees 3 standard deviations nine times in ten: if the true
mean and spread were known, it would in 85 of 100."""


@dataclass(frozen=True)
class _Part:
    """An independent part of the variance of a distance, with its degrees of freedom."""

    variance: float
    degrees: int


def _parts(reported: Reported, measured: MeanOverSeeds) -> list[_Part]:
    """Of the distance between a published number and ours."""
    assert measured.std is not None
    ours = measured.std**2
    if reported.std is None or reported.n < 2:
        return [_Part(ours * (1 / measured.n + 1 / reported.n), measured.n - 1)]
    return [_Part(ours / measured.n, measured.n - 1), _Part(reported.std**2 / reported.n, reported.n - 1)]


def _by_chance(parts: Sequence[_Part], looks: int = 1) -> float:
    """How large a distance chance makes, at 95% of all looks; degrees of freedom by Welch and Satterthwaite."""
    variance = sum(part.variance for part in parts)
    spread = sum(part.variance**2 / part.degrees for part in parts)
    confidence = 1 - (1 - CONFIDENCE) / looks
    return t_quantile(variance**2 / spread, confidence) * math.sqrt(variance) if spread else 0.0


def half_width_of_difference(ours: MeanOverSeeds, control: MeanOverSeeds) -> float | None:
    """Of the 95% interval of a difference of two means; None where one has a single seed."""
    if ours.std is None or control.std is None:
        return None
    return _by_chance([_Part(each.std**2 / each.n, each.n - 1) for each in (ours, control) if each.std is not None])


def _within(value: float, mean: float, parts: Sequence[_Part], looks: int) -> Judgement:
    """Whether a distance is one that chance makes."""
    allowed = _by_chance(parts, looks)
    same = abs(value - mean) <= allowed + _ROUNDING
    return Judgement("consistent" if same else "differs", low=mean - allowed, high=mean + allowed)


def _unready(n_fixed: int, *measured: MeanOverSeeds) -> Judgement | None:
    """Why seeds do not suffice for a verdict, or None."""
    for each in measured:
        if each.n < max(n_fixed, MIN_SEEDS):
            return Judgement("undecided", f"{each.n} of {max(n_fixed, MIN_SEEDS)} seeds")
    return None


def judge(
    reported: Reported | None,
    measured: MeanOverSeeds | None,
    *,
    n_fixed: int,
    against: Sequence[str] = (),
    looks: int = 1,
) -> Judgement:
    """A model that is trained. `n_fixed`: seeds that the preset fixed; `against`: why the two cannot be compared."""
    early = _without_numbers(reported, measured, against)
    if early is not None:
        return early
    assert reported is not None
    assert measured is not None
    return _unready(n_fixed, measured) or _within(reported.value, measured.mean, _parts(reported, measured), looks)


def judge_difference(
    reported: tuple[Reported, Reported],
    measured: tuple[MeanOverSeeds, MeanOverSeeds],
    *,
    n_fixed: tuple[int, int],
    against: Sequence[str] = (),
    looks: int = 1,
) -> Judgement:
    """A model minus its control: published both, measured both."""
    if against:
        return Judgement("not comparable", "; ".join(against))
    for each, n in zip(measured, n_fixed, strict=True):
        if (unready := _unready(n, each)) is not None:
            return unready
    parts = [part for r, m in zip(reported, measured, strict=True) for part in _parts(r, m)]
    return _within(reported[0].value - reported[1].value, measured[0].mean - measured[1].mean, parts, looks)


def judge_score(
    reported: Reported | None, tolerance: float | None, measured: float | None, *, against: Sequence[str] = ()
) -> Judgement:
    """One score without seeds: of a file, or of real text."""
    early = _without_numbers(reported, measured, against)
    if early is not None:
        return early
    assert reported is not None
    assert measured is not None
    assert tolerance is not None, "a preset gives each number of a file its tolerance"
    same = abs(measured - reported.value) <= tolerance + _ROUNDING
    return Judgement("consistent" if same else "differs", low=measured - tolerance, high=measured + tolerance)


def _without_numbers(
    reported: Reported | None, measured: MeanOverSeeds | float | None, against: Sequence[str]
) -> Judgement | None:
    """The verdicts that need no arithmetic, or None."""
    reasons = "; ".join(against)
    if measured is None:
        return Judgement("not run", reasons)
    if reported is None:
        return Judgement("no published number", reasons)
    return Judgement("not comparable", reasons) if reasons else None
