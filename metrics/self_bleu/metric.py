"""Self-BLEU: BLEU of each sample against all other samples. How much the samples repeat one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from metrics.common.base import Aspect, Better, Bounds, Estimate, MetricInputs, Side
from metrics.common.bleu import BleuMetric
from metrics.common.leave_one_out import self_bleu, self_bleu_without
from metrics.common.uncertainty import jackknife

__all__ = ["SelfBleu"]


@dataclass(frozen=True, kw_only=True)
class SelfBleu(BleuMetric):
    """Mean over all samples of sentence BLEU against all the others. Keys `self_bleu_2` .. `self_bleu_5`."""

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"
    aspect: ClassVar[Aspect] = "diversity"
    side: ClassVar[Side] = "lower"
    bounds: ClassVar[Bounds] = (0.0, 1.0)

    def compute(self, inputs: MetricInputs) -> dict[str, float]:
        """Mean sentence BLEU of each order, leaving one out."""
        means = self_bleu(inputs.samples, self.orders, self.smoothing).mean(axis=1)
        return {f"self_bleu_{order}": float(mean) for order, mean in zip(self.orders, means, strict=True)}

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """With the jackknife: the sentences' scores depend on one another, so sd / sqrt(N) would be too small."""
        scores, without = self_bleu_without(inputs.samples, self.orders, self.smoothing)
        rows = zip(self.orders, scores.mean(axis=1), without, strict=True)
        return {f"self_bleu_{order}": jackknife(float(mean), row) for order, mean, row in rows}

    def missing(self, inputs: MetricInputs) -> str | None:
        """One sample has no others."""
        if len(inputs.samples) == 1:
            return "self_bleu needs at least two samples: with one there are no others to compare it with"
        return super().missing(inputs)
