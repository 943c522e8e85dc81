"""Unique: how many of the samples are different sentences."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from metrics.common.base import Aspect, Better, Bounds, Estimate, MetricInputs
from metrics.common.sentences import sentence_keys
from metrics.common.uncertainty import EstimatedMetric, jackknife

__all__ = ["Unique"]


@dataclass(frozen=True, kw_only=True)
class Unique(EstimatedMetric):
    """Different sentences / samples. Key `unique`."""

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"
    aspect: ClassVar[Aspect] = "diversity"
    bounds: ClassVar[Bounds] = (0.0, 1.0)

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """The share; without a sample that occurs once there is one different sentence less."""
        times = Counter(sentence_keys(inputs.samples))
        n, different = len(inputs.samples), len(times)
        once = sum(count == 1 for count in times.values())
        without = np.full(n, float(different))
        without[:once] -= 1
        return {"unique": jackknife(different / n, without / max(1, n - 1))}
