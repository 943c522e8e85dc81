"""MS-Jaccard: how far the n-gram frequencies of samples and real text overlap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from metrics.common.base import Aspect, Better, Bounds, Estimate, MetricInputs, too_short
from metrics.common.joint_counts import JointCounts, joint_counts
from metrics.common.uncertainty import EstimatedMetric, jackknife

__all__ = ["MsJaccard"]

Ids = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class MsJaccard(EstimatedMetric):
    """Weighted Jaccard index of n-gram counts per sentence, geometric mean over the orders 1 to n.

    Keys `ms_jaccard_1` .. `ms_jaccard_5`; orders that neither side is long enough for are absent.
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "higher"
    aspect: ClassVar[Aspect] = "both"
    bounds: ClassVar[Bounds] = (0.0, 1.0)
    needs: ClassVar[tuple[str, ...]] = ("references",)
    counted: ClassVar[tuple[str, ...]] = needs
    """The overlap grows with both numbers of sentences."""

    orders: tuple[int, ...] = (1, 2, 3, 4, 5)
    """One score for each n."""

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """The score of each n; without a sample, the others are counted per one sentence less."""
        assert inputs.references is not None
        n, m = len(inputs.samples), len(inputs.references)
        scores: dict[str, Estimate] = {}
        logs, logs_without = 0.0, np.zeros(n)
        for order, counts in enumerate(joint_counts(inputs.samples, inputs.references, max(self.orders)), 1):
            if not len(counts.ours):
                break
            with np.errstate(divide="ignore", invalid="ignore"):
                low, high = _overlap(counts.ours * m, counts.theirs * n)
                logs += float(np.log(low / high))
                logs_without += np.log(_without(counts, m))
            if order in self.orders:
                scores[f"ms_jaccard_{order}"] = jackknife(float(np.exp(logs / order)), np.exp(logs_without / order))
        return scores

    def absent(self, inputs: MetricInputs) -> dict[str, str]:
        """The orders that neither side is long enough for."""
        assert inputs.references is not None
        what = "sample and no reference sentence"
        return too_short(self.orders, "ms_jaccard_{}", what, inputs.samples, inputs.references)

    def missing(self, inputs: MetricInputs) -> str | None:
        """Some sentence must hold an n-gram."""
        if reason := super().missing(inputs):
            return reason
        assert inputs.references is not None
        if max(corpus.lengths.max() for corpus in (inputs.samples, inputs.references)) < min(self.orders):
            return f"ms_jaccard needs a sample or reference of at least {min(self.orders)} tokens"
        return None


def _overlap(ours: Ids, theirs: Ids) -> tuple[int, int]:
    """Sum of the smaller and of the greater count. Counts per sentence, times both numbers of sentences: integers."""
    return np.minimum(ours, theirs).sum(), np.maximum(ours, theirs).sum()


def _without(counts: JointCounts, m: int) -> NDArray[np.float64]:
    """(N,) the index without each sample: all counts per one sentence less, and those of its own n-grams lower."""
    held, theirs = counts.ours[counts.gram] * m, counts.theirs * (counts.n_samples - 1)
    left, real = held - counts.count * m, theirs[counts.gram]
    low, high = _overlap(counts.ours * m, theirs)
    lower = low + counts.by_sentence(np.minimum(left, real) - np.minimum(held, real))
    return lower / (high + counts.by_sentence(np.maximum(left, real) - np.maximum(held, real)))
