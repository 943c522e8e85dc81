"""When a published number counts as reproduced: golden cases, among them both sides of every edge."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.reproduce.verdict import VERDICTS, judge
from bench.seeds import MeanOverSeeds, mean_over_seeds

SMALL = 1e-6


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
    ("mean", "half", "expected"),
    [
        (9.04, 0.00, "reproduced"),
        (9.00, 0.10, "reproduced"),  # both ends of the interval are the ends of the tolerance
        (9.00, 0.10 + SMALL, "undecided"),
        (9.08, 0.02, "reproduced"),
        (9.08, 0.02 + SMALL, "undecided"),
        (8.92, 0.02 + SMALL, "undecided"),
        (9.10, 0.01, "undecided"),
        (9.12, 0.02, "undecided"),  # they share one point
        (9.12, 0.02 - SMALL, "not reproduced"),
        (8.88, 0.02, "undecided"),
        (8.88, 0.02 - SMALL, "not reproduced"),
        (9.50, 0.30, "not reproduced"),
        (9.50, 0.60, "undecided"),
        (9.00, 5.00, "undecided"),  # too wide to say anything
    ],
)
def test_the_interval_decides(mean: float, half: float, expected: str) -> None:
    assert judge(9.0, 0.1, MeanOverSeeds(mean, None, half, 3), seeded=True).verdict == expected


def test_undecided_says_what_would_help() -> None:
    assert judge(9.0, 0.1, MeanOverSeeds(9.1, None, 0.2, 3), seeded=True).reason == (
        "the interval is 0.4 wide and reaches over an edge; more seeds narrow it"
    )


@pytest.mark.parametrize(
    ("mean", "expected"),
    [
        (0.7455, "reproduced"),
        (0.7460, "reproduced"),
        (0.7460 + SMALL, "not reproduced"),
        (0.744 - SMALL, "not reproduced"),
    ],
)
def test_without_seeds_the_value_itself_decides(mean: float, expected: str) -> None:
    assert judge(0.745, 0.001, MeanOverSeeds(mean, None, None, 1), seeded=False).verdict == expected


@pytest.mark.parametrize("n", [1, 2])
def test_fewer_than_three_seeds_decide_nothing(n: int) -> None:
    judgement = judge(9.0, 0.1, MeanOverSeeds(9.0, None, 0.0 if n > 1 else None, n), seeded=True)
    assert judgement.verdict == "not comparable"
    assert judgement.reason == f"{n} seed{'s' if n > 1 else ''}, fewer than 3"


def test_a_reason_outweighs_every_number() -> None:
    judgement = judge(9.0, 0.1, MeanOverSeeds(9.0, None, 0.0, 3), seeded=True, against=["scale small", "seed 1 failed"])
    assert (judgement.verdict, judgement.reason) == ("not comparable", "scale small; seed 1 failed")
    assert (
        judge(9.0, 0.1, MeanOverSeeds(12.0, None, 0.0, 3), seeded=True, against=["scale small"]).verdict
        == "not comparable"
    )


def test_nothing_measured_and_nothing_published() -> None:
    assert judge(9.0, 0.1, None, seeded=True).verdict == "not run"
    assert judge(None, None, MeanOverSeeds(9.0, None, 0.1, 3), seeded=True).verdict == "no published number"
    assert judge(None, None, None, seeded=True).verdict == "not run"


@given(
    st.lists(st.floats(8, 10), min_size=3, max_size=8),
    st.floats(8, 10),
    st.floats(0.01, 0.5),
    st.floats(0, 1),
    st.data(),
)
def test_the_verdict_is_that_of_every_point_of_the_interval(
    values: list[float], value: float, tolerance: float, share: float, data: st.DataObject
) -> None:
    """What is reproduced holds for each value that the mean may have; what is not, for none."""
    measured = mean_over_seeds(values)
    assert measured is not None
    verdict = judge(value, tolerance, measured, seeded=True).verdict
    assert verdict in VERDICTS
    low, high = stats.t.interval(0.95, len(values) - 1, loc=measured.mean, scale=stats.sem(values) or 1e-300)
    point = low + share * (high - low)
    if verdict == "reproduced":
        assert abs(point - value) <= tolerance + 1e-6
    if verdict == "not reproduced":
        assert abs(point - value) >= tolerance - 1e-6
