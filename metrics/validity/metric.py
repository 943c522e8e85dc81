"""Validity: how many samples the task's grammar can produce."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from metrics.common.base import Aspect, Better, Bounds, MetricInputs
from metrics.common.uncertainty import MeanMetric, PerSentence

__all__ = ["Validity"]


@dataclass(frozen=True, kw_only=True)
class Validity(MeanMetric):
    """Share of samples that are sentences of the grammar. Key `validity`."""

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "higher"
    aspect: ClassVar[Aspect] = "quality"
    bounds: ClassVar[Bounds] = (0.0, 1.0)
    needs: ClassVar[tuple[str, ...]] = ("is_valid",)

    def by_sentence(self, inputs: MetricInputs) -> dict[str, PerSentence]:
        """1 for a sentence of the grammar, 0 for another."""
        return {"validity": PerSentence(inputs.samples_valid.astype(np.float64))}
