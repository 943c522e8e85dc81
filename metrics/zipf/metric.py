"""Zipf coefficient: how fast word frequencies fall with their rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from metrics.common.base import Aspect, Better, Bounds, Estimate, MetricInputs
from metrics.common.ngrams import ngram_runs
from metrics.common.uncertainty import EstimatedMetric, jackknife

__all__ = ["Zipf"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Zipf(EstimatedMetric):
    """Minus the least-squares slope of log frequency on log rank over all words of the samples. Key `zipf`."""

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"
    aspect: ClassVar[Aspect] = "diversity"
    bounds: ClassVar[Bounds] = (0.0, None)

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """The slope of all samples and, by the change of a few sums, of all but each.

        With m_c words that occur c times or more, log f = sum over 2 <= c <= f of log(c / (c-1)). So the sum of log f
        is that of m_c log(c / (c-1)), and the sum of log rank * log f that of log(m_c!) log(c / (c-1)). A sample's
        absence only lowers m_c for the counts that its words then no longer reach.
        """
        n = len(inputs.samples)
        runs = next(ngram_runs(inputs.samples, 1))
        frequency = runs.by_ngram(runs.count)
        reach = np.cumsum(np.bincount(frequency)[::-1])[::-1]  # (max + 1,) reach[c] = m_c
        sums = _Sums(len(frequency))
        step = np.log(np.arange(1, len(reach)) / np.maximum(1, np.arange(len(reach) - 1)))  # step[c - 1] = log(c/(c-1))
        log_f, product = (reach[1:] * step).sum(), (sums.log_factorial[reach[1:]] * step).sum()
        counts = np.repeat(frequency[runs.gram] - runs.count, runs.count) + 1
        counts += np.arange(len(counts)) - np.repeat(np.cumsum(runs.count) - runs.count, runs.count)
        keys, lost = np.unique(np.repeat(runs.sentence, runs.count) * len(reach) + counts, return_counts=True)
        sentence, count = keys // len(reach), keys % len(reach)
        before, after = reach[count], reach[count] - lost
        fewer = np.bincount(sentence, (after - before) * step[count - 1], n)
        change = (sums.log_factorial[after] - sums.log_factorial[before]) * step[count - 1]
        words = len(frequency) - np.bincount(sentence[count == 1], lost[count == 1], n).astype(np.int64)
        without = sums.exponent(words, log_f + fewer, product + np.bincount(sentence, change, n))
        value = sums.exponent(np.array([len(frequency)]), np.array([log_f]), np.array([product]))
        return {"zipf": jackknife(float(value[0]), without)}

    def missing(self, inputs: MetricInputs) -> str | None:
        """A line needs two points."""
        if len(inputs.samples) and len(np.unique(inputs.samples.flat)) < 2:
            return "zipf needs samples of at least two different words"
        return super().missing(inputs)


class _Sums:
    """Sums over the ranks 1 to m, for every m up to the number of words."""

    def __init__(self, n_words: int) -> None:
        log_rank = np.concatenate([[0.0], np.log(np.arange(1, n_words + 1))])
        self.log_factorial = np.cumsum(log_rank)
        """[m] = log 1 + ... + log m"""
        self._squares = np.cumsum(log_rank**2)

    def exponent(self, words: NDArray[np.int64], log_f: Floats, product: Floats) -> Floats:
        """Minus the slope from the number of words, the sum of log f and of log rank * log f; nan under two words."""
        log_rank, squares = self.log_factorial[words], self._squares[words]
        with np.errstate(divide="ignore", invalid="ignore"):
            return (log_rank * log_f - words * product) / (words * squares - log_rank**2)
