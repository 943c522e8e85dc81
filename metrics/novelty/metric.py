"""Novelty: how much of what the samples say is not in the training text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from metrics.common.base import Better, Metric, MetricInputs
from metrics.common.ngrams import check_orders, reference_index, total_counts
from metrics.common.sentences import sentence_keys

__all__ = ["Novelty"]


@dataclass(frozen=True, kw_only=True)
class Novelty(Metric):
    """Share of samples, and of their n-grams, that the training text does not hold.

    Keys `novelty` and `novelty_ngram_2` .. `novelty_ngram_4`; an order that no sample is long enough for has no key.
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"
    needs: ClassVar[tuple[str, ...]] = ("training",)

    orders: tuple[int, ...] = (2, 3, 4)
    """Orders of the n-grams."""

    def __post_init__(self) -> None:
        check_orders("novelty", self.orders)

    def compute(self, inputs: MetricInputs) -> dict[str, float]:
        """Repeated sentences and n-grams count as often as they occur."""
        assert inputs.training is not None
        known = set(sentence_keys(inputs.training))
        new = sum(sentence not in known for sentence in sentence_keys(inputs.samples))
        scores = {"novelty": new / len(inputs.samples)}
        top = max(self.orders)
        seen = reference_index(inputs.training, top).seen(inputs.samples)
        total = total_counts(inputs.samples, top)
        shares = {f"novelty_ngram_{n}": 1 - float(seen[n - 1] / total[n - 1]) for n in self.orders if total[n - 1]}
        return scores | shares

    def missing(self, inputs: MetricInputs) -> str | None:
        """Training text must hold a sentence."""
        if inputs.training is not None and len(inputs.training) == 0:
            return "novelty needs at least one training sentence"
        return super().missing(inputs)

    def counts(self, inputs: MetricInputs) -> dict[str, int]:
        """Novelty falls with the amount of training text, so it is part of the signature."""
        return {"training": len(inputs.training or ()), **super().counts(inputs)}
