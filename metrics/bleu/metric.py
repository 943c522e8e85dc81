"""BLEU of the samples against the held-out text: how much of each sample a real sentence could hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from metrics.common.base import Better, MetricInputs
from metrics.common.bleu import Smoothing, bleu_against, check_smoothing
from metrics.common.ngrams import check_orders
from metrics.common.uncertainty import MeanMetric, PerSentence

__all__ = ["Bleu"]


@dataclass(frozen=True, kw_only=True)
class Bleu(MeanMetric):
    """Mean over all samples of sentence BLEU against all references. Keys `bleu_2` .. `bleu_5`."""

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "higher"
    needs: ClassVar[tuple[str, ...]] = ("references",)

    orders: tuple[int, ...] = (2, 3, 4, 5)
    """One score for each; BLEU-n weighs the orders 1 to n equally."""
    smoothing: Smoothing = "method1"
    """What an order without a match counts, by NLTK's names."""

    def __post_init__(self) -> None:
        check_orders("bleu", self.orders)
        check_smoothing("bleu", self.smoothing)

    def by_sentence(self, inputs: MetricInputs) -> dict[str, PerSentence]:
        """Sentence BLEU of each order."""
        assert inputs.references is not None
        scores = bleu_against(inputs.samples, inputs.references, self.orders, self.smoothing)
        return {f"bleu_{order}": PerSentence(row) for order, row in zip(self.orders, scores, strict=True)}

    def missing(self, inputs: MetricInputs) -> str | None:
        """References must hold a sentence."""
        if inputs.references is not None and len(inputs.references) == 0:
            return "bleu needs at least one reference sentence"
        return super().missing(inputs)

    def counts(self, inputs: MetricInputs) -> dict[str, int]:
        """BLEU grows with the number of references, so it is part of the signature."""
        return {"refs": len(inputs.references or ()), **super().counts(inputs)}
