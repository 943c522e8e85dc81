"""When a published number counts as reproduced. Pure functions: numbers in, a verdict with its reason out.

**The rule.** A number v is published, and the preset allows a tolerance t: how far a mean may be from v and still be
the same number (the spread of one published run, the published interval, or rounding; each preset says which). Measured
are n seeds, at least three, with mean m and the two-sided 95% interval m ± h, h = t(0.975, n - 1) s / sqrt(n).

- *reproduced*: the whole interval lies within [v - t, v + t]. The mean of further seeds would be expected there too.
- *not reproduced*: the whole interval lies outside it.
- *undecided*: the interval reaches over an edge. More seeds narrow it.
- *not comparable*: there is a reason why the two do not measure the same: another scale, oracle, data, protocol or
  setting, a failed seed, fewer than three seeds. The reasons are listed, and no other verdict is given beside them.
- *no published number*: the score is shown, and there is nothing to compare it with.
- *not run*: nothing is measured.

A file of samples, or real text, has one score and no seeds: it is *reproduced* if |m - v| <= t, else *not reproduced*.
Where text was drawn, as by an oracle, its tolerance has to hold the sampling error of both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from bench.seeds import MeanOverSeeds

__all__ = ["MIN_SEEDS", "VERDICTS", "Judgement", "judge"]

MIN_SEEDS = 3
"""Fewer seeds say too little of the spread."""

Verdict = Literal["reproduced", "not reproduced", "undecided", "not comparable", "no published number", "not run"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

_ROUNDING = 1e-9
"""Of decimal numbers as floating point: 0.745 + 0.001 is no exact edge."""


@dataclass(frozen=True)
class Judgement:
    """A verdict and why."""

    verdict: Verdict
    reason: str


def judge(
    value: float | None,
    tolerance: float | None,
    measured: MeanOverSeeds | None,
    *,
    seeded: bool,
    against: Sequence[str] = (),
) -> Judgement:
    """The rule of this module. `against`: why the two cannot be compared; `seeded`: whether seeds are asked for."""
    if measured is None:
        return Judgement("not run", "; ".join(against))
    if value is None or tolerance is None:
        return Judgement("no published number", "; ".join(against))
    reasons = list(against)
    if seeded and measured.n < MIN_SEEDS:
        reasons.append(f"{measured.n} seed{'s' * (measured.n != 1)}, fewer than {MIN_SEEDS}")
    if reasons:
        return Judgement("not comparable", "; ".join(reasons))
    half = measured.half_width or 0.0
    low, high = measured.mean - half, measured.mean + half
    bottom, top = value - tolerance - _ROUNDING, value + tolerance + _ROUNDING
    if bottom <= low and high <= top:
        return Judgement("reproduced", "")
    if high < bottom or low > top:
        return Judgement("not reproduced", "")
    reason = f"the interval is {2 * half:.2g} wide and reaches over an edge; more seeds narrow it"
    return Judgement("undecided", reason)
