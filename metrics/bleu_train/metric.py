"""BLEU of the samples against the training text: how much of each sample a training sentence could hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from metrics.common.base import Better, MetricInputs
from metrics.common.bleu import Smoothing, bleu_against, check_smoothing
from metrics.common.ngrams import check_orders
from metrics.common.uncertainty import MeanMetric, PerSentence

__all__ = ["BleuTrain"]


@dataclass(frozen=True, kw_only=True)
class BleuTrain(MeanMetric):
    """Mean of sentence BLEU against all training sentences. Keys `bleu_train_2` .. `bleu_train_5`."""

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"
    needs: ClassVar[tuple[str, ...]] = ("training",)

    orders: tuple[int, ...] = (2, 3, 4, 5)
    """One score for each; BLEU-n weighs the orders 1 to n equally."""
    smoothing: Smoothing = "method1"
    """What an order without a match counts, by NLTK's names."""

    def __post_init__(self) -> None:
        check_orders("bleu_train", self.orders)
        check_smoothing("bleu_train", self.smoothing)

    def by_sentence(self, inputs: MetricInputs) -> dict[str, PerSentence]:
        """Sentence BLEU of each order."""
        assert inputs.training is not None
        scores = bleu_against(inputs.samples, inputs.training, self.orders, self.smoothing)
        return {f"bleu_train_{order}": PerSentence(row) for order, row in zip(self.orders, scores, strict=True)}

    def missing(self, inputs: MetricInputs) -> str | None:
        """Training text must hold a sentence."""
        if inputs.training is not None and len(inputs.training) == 0:
            return "bleu_train needs at least one training sentence"
        return super().missing(inputs)

    def counts(self, inputs: MetricInputs) -> dict[str, int]:
        """BLEU grows with the number of references, so it is part of the signature."""
        return {"training": len(inputs.training or ()), **super().counts(inputs)}
