"""When a published number and ours may be the same: golden cases, both sides of every edge, and how often it errs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.reproduce.verdict import (
    ODDS,
    VERDICTS,
    Odds,
    Reported,
    half_width_of_difference,
    judge,
    judge_difference,
    judge_score,
)
from bench.seeds import MeanOverSeeds, mean_over_seeds

SMALL = 1e-6
ONE_RUN = MeanOverSeeds(9.0, 0.1, 0.1049, 6)
"""Six seeds: one more run lies within 2.570582 x .1 x sqrt(7 / 6) = .2776546 of their mean, 95 times in 100."""


def test_mean_and_interval_are_students() -> None:
    """2.92 is the 95% quantile of one side at two degrees; the two-sided one is 4.302653."""
    assert mean_over_seeds([]) is None
    assert mean_over_seeds([3.5]) == MeanOverSeeds(3.5, None, None, 1)
    three = mean_over_seeds([1.0, 2.0, 3.0])
    assert three is not None
    assert three.mean == 2.0
    assert three.half_width == pytest.approx(4.3026527 / math.sqrt(3), rel=1e-6)
    assert three.n == 3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (9.0, "consistent"),
        (9.2776546 - SMALL, "consistent"),
        (9.2776546 + SMALL, "differs"),
        (8.7223454 + SMALL, "consistent"),
        (8.7223454 - SMALL, "differs"),
    ],
)
def test_a_single_run_is_asked_to_lie_in_the_prediction_interval(value: float, expected: str) -> None:
    judgement = judge(Reported(value), ONE_RUN, n_fixed=6)
    assert judgement.verdict == expected
    assert (judgement.low, judgement.high) == pytest.approx((8.7223454, 9.2776546), abs=1e-6)


def test_of_two_looks_each_has_half_of_the_error() -> None:
    """At 97.5% Student's t with five degrees is 3.163381."""
    edge = 3.163381 * 0.1 * math.sqrt(7 / 6)
    for value, expected in ((9 + edge - SMALL, "consistent"), (9 + edge + SMALL, "differs")):
        assert judge(Reported(value), ONE_RUN, n_fixed=6, looks=2).verdict == expected
    gain = stats.t.ppf(1 - 0.0125, 10) * 0.1 * math.sqrt(2 * 7 / 6)
    for value, expected in ((gain - SMALL, "consistent"), (gain + SMALL, "differs")):
        both = (Reported(8 + value), Reported(8.0))
        judgement = judge_difference(both, (ONE_RUN, ONE_RUN), n_fixed=(6, 6), looks=2)
        assert judgement.verdict == expected


@given(st.lists(st.floats(8, 10), min_size=3, max_size=8), st.lists(st.floats(8, 10), min_size=2, max_size=8))
def test_means_of_several_runs_are_compared_by_welch(ours: list[float], theirs: list[float]) -> None:
    """Against scipy's test on the runs themselves."""
    measured, reported = mean_over_seeds(ours), Reported.of_runs(theirs)
    assert measured is not None
    if np.ptp(ours) < 1e-3 or np.ptp(theirs) < 1e-3:
        return
    p = float(stats.ttest_ind(ours, theirs, equal_var=False).pvalue)
    if abs(p - 0.05) > 1e-6:
        verdict = judge(reported, measured, n_fixed=len(ours)).verdict
        assert verdict == ("consistent" if p > 0.05 else "differs")


def test_runs_published_one_by_one_are_their_mean_and_spread() -> None:
    assert Reported.of_runs([9.0, 9.2]) == Reported(9.1, 2, pytest.approx(math.sqrt(0.02)))
    assert Reported.of_runs([9.0]) == Reported(9.0)


def test_a_mean_without_its_spread_is_taken_to_vary_as_ours() -> None:
    """m +- t(5) s sqrt(1/6 + 1/4)."""
    judgement = judge(Reported(9.0, 4), ONE_RUN, n_fixed=6)
    assert judgement.high == pytest.approx(9.0 + 2.570582 * 0.1 * math.sqrt(1 / 6 + 1 / 4), abs=1e-6)


def test_seeds_without_any_spread_ask_for_the_very_number() -> None:
    same = MeanOverSeeds(4.0, 0.0, 0.0, 3)
    assert judge(Reported(4.0), same, n_fixed=3).verdict == "consistent"
    assert judge(Reported(4.001), same, n_fixed=3).verdict == "differs"


@pytest.mark.parametrize(("n", "n_fixed", "reason"), [(3, 6, "3 of 6 seeds"), (1, 3, "1 of 3 seeds")])
def test_before_all_fixed_seeds_are_there_nothing_is_decided(n: int, n_fixed: int, reason: str) -> None:
    measured = MeanOverSeeds(9.0, 0.1 if n > 1 else None, 0.1 if n > 1 else None, n)
    for value in (9.0, 20.0):
        judgement = judge(Reported(value), measured, n_fixed=n_fixed)
        assert (judgement.verdict, judgement.reason) == ("undecided", reason)


def test_fewer_than_three_seeds_decide_nothing_whatever_a_preset_fixes() -> None:
    assert judge(Reported(9.0), MeanOverSeeds(9.0, 0.1, 0.1, 2), n_fixed=2).verdict == "undecided"


def test_a_reason_outweighs_every_number() -> None:
    judgement = judge(Reported(9.0), ONE_RUN, n_fixed=6, against=["scale small", "seed 1 failed"])
    assert (judgement.verdict, judgement.reason) == ("not comparable", "scale small; seed 1 failed")
    assert judge_score(Reported(9.0), 0.1, 12.0, against=["other data"]).verdict == "not comparable"
    both = (ONE_RUN, ONE_RUN)
    assert judge_difference((Reported(9.0), Reported(9.0)), both, n_fixed=(6, 6), against=["x"]).reason == "x"


def test_nothing_measured_and_nothing_published() -> None:
    assert judge(Reported(9.0), None, n_fixed=3).verdict == "not run"
    assert judge(None, ONE_RUN, n_fixed=6).verdict == "no published number"
    assert judge(None, None, n_fixed=3).verdict == "not run"
    assert judge_score(None, None, 9.0).verdict == "no published number"


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (0.7455, "consistent"),
        (0.7460, "consistent"),
        (0.7460 + SMALL, "differs"),
        (0.744 - SMALL, "differs"),
    ],
)
def test_without_seeds_the_tolerance_decides(measured: float, expected: str) -> None:
    found = judge_score(Reported(0.745), 0.001, measured)
    assert found.verdict == expected
    assert (found.low, found.high) == pytest.approx((measured - 0.001, measured + 0.001))


def test_the_difference_to_the_control_is_judged_with_both_variances() -> None:
    """Of single runs with equal spread, twice the variance and twice the degrees of freedom: t(10) = 2.228139."""
    control = MeanOverSeeds(9.5, 0.1, 0.1049, 6)
    edge = 2.228139 * 0.1 * math.sqrt(2 * 7 / 6)
    for gain, expected in ((-0.5 + edge - SMALL, "consistent"), (-0.5 + edge + SMALL, "differs")):
        judgement = judge_difference((Reported(8.0 + gain), Reported(8.0)), (ONE_RUN, control), n_fixed=(6, 6))
        assert judgement.verdict == expected
    half = half_width_of_difference(ONE_RUN, control)
    assert half == pytest.approx(2.228139 * 0.1 * math.sqrt(2 / 6), abs=1e-6)
    assert half_width_of_difference(ONE_RUN, MeanOverSeeds(9.5, None, None, 1)) is None
    few = judge_difference((Reported(8.0), Reported(8.0)), (ONE_RUN, control), n_fixed=(6, 12))
    assert (few.verdict, few.reason) == ("undecided", "6 of 12 seeds")


def shares(odds: Odds, draws: int, rng: np.random.Generator) -> list[float]:
    """How often the rule says "consistent", by the true difference in standard deviations of one run."""

    def reported(shift: float) -> Reported:
        return Reported.of_runs((rng.standard_normal(odds.published) + shift).tolist())

    def measured(n: int) -> MeanOverSeeds:
        found = mean_over_seeds(rng.standard_normal(n).tolist())
        assert found is not None
        return found

    def once(shift: float) -> str:
        ours = measured(odds.ours)
        if odds.control:
            both = (reported(shift), reported(0.0))
            fixed = (odds.ours, odds.control)
            return judge_difference(both, (ours, measured(odds.control)), n_fixed=fixed, looks=odds.looks).verdict
        return judge(reported(shift), ours, n_fixed=odds.ours, looks=odds.looks).verdict

    return [sum(once(shift) == "consistent" for _ in range(draws)) / draws for shift in range(len(odds.consistent))]


@pytest.mark.parametrize("odds", ODDS, ids=lambda o: f"{o.ours}-{o.published}-{o.control}-{o.looks}")
def test_the_odds_are_those_of_the_table(odds: Odds) -> None:
    """Within four standard errors of a share."""
    draws = 400
    found = shares(odds, draws, np.random.default_rng(7))
    for share, expected in zip(found, odds.consistent, strict=True):
        error = math.sqrt(max(expected * (1 - expected), 0.01) / draws)
        assert abs(share - expected) < 4 * error + 0.005


def test_what_the_table_promises() -> None:
    """Equal truth is "consistent" nine times in ten; 3 standard deviations "differ" so often against four runs."""
    assert all(odds.consistent[0] >= 0.9 for odds in ODDS)
    several = [odds for odds in ODDS if odds.ours >= 6 and odds.published >= 4 and odds.looks == 1]
    assert len(several) >= 3
    assert all(odds.consistent[3] <= 0.1 for odds in several)
    (one,) = [odds for odds in ODDS if (odds.ours, odds.published, odds.control, odds.looks) == (6, 1, 0, 1)]
    assert one.consistent[5] <= 0.1 < one.consistent[4]
    best = stats.norm.cdf(1.96 - 3) - stats.norm.cdf(-1.96 - 3)  # one run against a mean and spread known exactly
    assert best == pytest.approx(0.15, abs=0.005)


def test_the_verdicts_have_one_word_each() -> None:
    assert len(set(VERDICTS)) == len(VERDICTS) == 6
