"""Distinct-n: how many of the samples' n-grams are different."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from metrics.common.base import Aspect, Better, Bounds, Estimate, MetricInputs, too_short
from metrics.common.ngrams import ngram_runs
from metrics.common.uncertainty import EstimatedMetric, jackknife

__all__ = ["Distinct"]


@dataclass(frozen=True, kw_only=True)
class Distinct(EstimatedMetric):
    """Different n-grams / all n-grams, over all samples together. Keys `distinct_1` .. `distinct_4`.

    An order that no sample is long enough for is absent.
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"
    aspect: ClassVar[Aspect] = "diversity"
    bounds: ClassVar[Bounds] = (0.0, 1.0)

    orders: tuple[int, ...] = (1, 2, 3, 4)

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """The share for each order. Without a sample, the n-grams that it alone holds are gone."""
        n = len(inputs.samples)
        scores: dict[str, Estimate] = {}
        for order, runs in enumerate(ngram_runs(inputs.samples, max(self.orders)), 1):
            if order in self.orders and len(runs.first):
                alone = np.diff(runs.first, append=len(runs.gram)) == 1
                different = len(runs.first) - runs.by_sentence(alone[runs.gram], n)
                with np.errstate(invalid="ignore"):
                    without = different / (runs.count.sum() - runs.by_sentence(runs.count, n))
                scores[f"distinct_{order}"] = jackknife(float(len(runs.first) / runs.count.sum()), without)
        return scores

    def absent(self, inputs: MetricInputs) -> dict[str, str]:
        """The orders that no sample is long enough for."""
        return too_short(self.orders, "distinct_{}", "sample", inputs.samples)

    def missing(self, inputs: MetricInputs) -> str | None:
        """Some sample must hold an n-gram."""
        shortest = min(self.orders)
        if len(inputs.samples) and inputs.samples.lengths.max() < shortest:
            return f"distinct needs a sample of at least {shortest} tokens"
        return super().missing(inputs)
