"""Validity: how many samples the task's grammar can produce."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from metrics.common.base import Better, Metric, MetricInputs

__all__ = ["Validity"]


@dataclass(frozen=True, kw_only=True)
class Validity(Metric):
    """Share of samples that are sentences of the grammar. Key `validity`."""

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "higher"
    needs: ClassVar[tuple[str, ...]] = ("is_valid",)

    def compute(self, inputs: MetricInputs) -> dict[str, float]:
        """The share."""
        return {"validity": float(inputs.samples_valid.mean())}
