"""What another draw of as many samples would change: standard errors, and the difference of two files of samples.

Everything here is over the samples, references held fixed. It says nothing of other seeds or other trainings.

- A mean over sentences has the standard error sd / sqrt(N); a ratio of two sums has it by the delta method.
- A smooth function of counts that repetition changes (how many are different, entropy, overlap of n-gram counts) has
  the delete-one jackknife (Quenouille 1956; Tukey 1958; Efron and Stein 1981). Each metric computes the N values
  without one sentence from its counts, exactly, never by scoring N times. The bootstrap would be wrong there: a
  resample repeats a third of its sentences, so it is less diverse than any draw.
- A function of sums over sentences that repetition does not change (corpus BLEU, chrF) has the bootstrap (Efron 1979;
  Koehn 2004 for BLEU), from the sums.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metrics.common.base import Estimate, Metric, MetricInputs

__all__ = [
    "BOOTSTRAP_RESAMPLES",
    "BOOTSTRAP_SEED",
    "Difference",
    "EstimatedMetric",
    "MeanMetric",
    "PerSentence",
    "bootstrap",
    "difference",
    "jackknife",
    "ratio",
    "resampled_sums",
]

Floats = NDArray[np.float64]

BOOTSTRAP_RESAMPLES = 1000
"""The standard error itself then has an error of 2% (1 / sqrt(2 * 1000))."""
BOOTSTRAP_SEED = 12345
"""Of NumPy's `RandomState`, whose stream is frozen; the number that sacreBLEU takes."""


class PerSentence(NamedTuple):
    """What each sentence adds to a score: the score is sum(values) / sum(weights)."""

    values: NDArray[Any]
    """(N,)"""
    weights: NDArray[Any] | None = None
    """(N,) None: all 1, the score is the mean."""


class EstimatedMetric(Metric):
    """A metric that finds its scores and their standard errors together."""

    @abstractmethod
    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """Scores with standard errors by key. Call `missing` first."""

    def compute(self, inputs: MetricInputs) -> dict[str, float]:
        """The scores alone."""
        return {key: estimate.value for key, estimate in self.estimates(inputs).items()}


class MeanMetric(EstimatedMetric):
    """A metric that is a mean over sentences, or a ratio of two sums over them."""

    by_count: ClassVar[bool] = False

    @abstractmethod
    def by_sentence(self, inputs: MetricInputs) -> Mapping[str, PerSentence]:
        """What each sentence adds, by key. Call `missing` first."""

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """Score and standard error of each key, from one pass."""
        return {key: ratio(*parts) for key, parts in self.by_sentence(inputs).items()}


def ratio(values: NDArray[Any], weights: NDArray[Any] | None = None) -> Estimate:
    """sum(values) / sum(weights) with its standard error, by the delta method (Cochran 1977, section 6.3).

    Without weights it is the mean and sd / sqrt(N). One sentence has no standard error.
    """
    n = len(values)
    if weights is None:
        value = float(np.mean(values))
        residuals = values - value
    else:
        total = weights.sum()
        value = float(values.sum() / total)
        residuals = (values - value * weights) * (n / total)
    return Estimate(value, math.sqrt(float(residuals @ residuals) / (n * (n - 1))) if n > 1 else None)


def jackknife(value: float, without: Floats) -> Estimate:
    """The score of all N samples and, `without` (N,), of all but each -> the score with its standard error.

    None where one of these is not defined (a score of no n-grams), or there is one sample.
    """
    n = len(without)
    if n < 2 or not np.isfinite(without).all():
        return Estimate(value, None)
    around = without - without.mean()
    return Estimate(value, math.sqrt((n - 1) / n * float(around @ around)))


def resampled_sums(statistics: Floats) -> Floats:
    """(N, K) statistics of each sentence -> (BOOTSTRAP_RESAMPLES, K) their sums over N sentences drawn with return."""
    random = np.random.RandomState(BOOTSTRAP_SEED)
    n = len(statistics)
    draws = (np.bincount(random.randint(n, size=n), minlength=n) for _ in range(BOOTSTRAP_RESAMPLES))
    return np.stack([times @ statistics for times in draws])


def bootstrap(value: float, resampled: Floats, n: int) -> Estimate:
    """A score of N samples and its values for the `resampled_sums` -> the score with its standard error."""
    return Estimate(value, float(resampled.std(ddof=1)) if n > 1 and np.isfinite(resampled).all() else None)


class Difference(NamedTuple):
    """How far two scores are apart, and whether two draws from one generator would be as far apart."""

    value: float
    """The first less the second."""
    standard_error: float | None
    """None: one of the two is not known."""
    p_value: float | None
    """Two-sided. None: the standard error is not known, or is 0 although the scores differ."""


def difference(first: Estimate, second: Estimate) -> Difference:
    """The difference of a score between two files of samples, each drawn independently of the other.

    z = (a - b) / sqrt(s_a^2 + s_b^2), p = erfc(|z| / sqrt(2)). Sentence i of one generator has nothing to do with
    sentence i of another, so nothing is paired and sacreBLEU's paired tests do not apply: they compare translations of
    the same source sentences. The references are the same for both and held fixed, so the p-value is about these
    references; and about these two sets of trained weights, not about the methods: that needs seeds.
    """
    value = first.value - second.value
    if first.standard_error is None or second.standard_error is None:
        return Difference(value, None, None)
    error = math.hypot(first.standard_error, second.standard_error)
    if error == 0:
        return Difference(value, 0.0, 1.0 if value == 0 else None)
    return Difference(value, error, math.erfc(abs(value / error) / math.sqrt(2)))
