"""Distinct-n: how many of the samples' n-grams are different."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from metrics.common.base import Better, Metric, MetricInputs
from metrics.common.ngrams import check_orders, distinct_counts, total_counts

__all__ = ["Distinct"]


@dataclass(frozen=True, kw_only=True)
class Distinct(Metric):
    """Different n-grams / all n-grams, over all samples together. Keys `distinct_1` .. `distinct_4`.

    An order that no sample is long enough for has no key.
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"

    orders: tuple[int, ...] = (1, 2, 3, 4)

    def __post_init__(self) -> None:
        check_orders("distinct", self.orders)

    def compute(self, inputs: MetricInputs) -> dict[str, float]:
        """The share for each order."""
        top = max(self.orders)
        different, total = distinct_counts(inputs.samples, top), total_counts(inputs.samples, top)
        return {f"distinct_{n}": float(different[n - 1] / total[n - 1]) for n in self.orders if total[n - 1]}

    def missing(self, inputs: MetricInputs) -> str | None:
        """Some sample must hold an n-gram."""
        shortest = min(self.orders)
        if len(inputs.samples) and inputs.samples.lengths.max() < shortest:
            return f"distinct needs a sample of at least {shortest} tokens"
        return super().missing(inputs)
