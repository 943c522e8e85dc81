"""n-gram entropy: how evenly the samples use their n-grams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from metrics.common.base import Aspect, Better, Bounds, Estimate, MetricInputs, too_short
from metrics.common.ngrams import ngram_runs
from metrics.common.uncertainty import EstimatedMetric, jackknife

__all__ = ["NgramEntropy"]


@dataclass(frozen=True, kw_only=True)
class NgramEntropy(EstimatedMetric):
    """Entropy in nats of the samples' n-gram frequencies. Keys `ngram_entropy_1` .. `ngram_entropy_4`.

    An order that no sample is long enough for is absent.
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"
    aspect: ClassVar[Aspect] = "diversity"
    bounds: ClassVar[Bounds] = (0.0, None)

    orders: tuple[int, ...] = (1, 2, 3, 4)

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """H = log T - sum(c log c) / T over the counts c, T their sum; likewise without each sample."""
        n = len(inputs.samples)
        scores: dict[str, Estimate] = {}
        for order, runs in enumerate(ngram_runs(inputs.samples, max(self.orders)), 1):
            if order in self.orders and len(runs.first):
                counts = runs.by_ngram(runs.count)
                total, weighted = counts.sum(), _c_log_c(counts).sum()
                held = counts[runs.gram]
                lost = runs.by_sentence(_c_log_c(held) - _c_log_c(held - runs.count), n)
                left = total - runs.by_sentence(runs.count, n)
                with np.errstate(divide="ignore", invalid="ignore"):
                    without = np.log(left) - (weighted - lost) / left
                scores[f"ngram_entropy_{order}"] = jackknife(float(np.log(total) - weighted / total), without)
        return scores

    def absent(self, inputs: MetricInputs) -> dict[str, str]:
        """The orders that no sample is long enough for."""
        return too_short(self.orders, "ngram_entropy_{}", "sample", inputs.samples)

    def missing(self, inputs: MetricInputs) -> str | None:
        """Some sample must hold an n-gram."""
        shortest = min(self.orders)
        if len(inputs.samples) and inputs.samples.lengths.max() < shortest:
            return f"ngram_entropy needs a sample of at least {shortest} tokens"
        return super().missing(inputs)


def _c_log_c(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """0 log 0 is 0."""
    return counts.astype(np.float64) * np.log(np.maximum(counts, 1))
