"""Unique: how many of the samples are different sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from metrics.common.base import Better, Metric, MetricInputs
from metrics.common.sentences import sentence_keys

__all__ = ["Unique"]


@dataclass(frozen=True, kw_only=True)
class Unique(Metric):
    """Different sentences / samples. Key `unique`."""

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"

    def compute(self, inputs: MetricInputs) -> dict[str, float]:
        """The share."""
        return {"unique": len(set(sentence_keys(inputs.samples))) / len(inputs.samples)}
