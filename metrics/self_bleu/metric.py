"""Self-BLEU: BLEU of each sample against all other samples. How much the samples repeat one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from metrics.common.base import Better, Metric, MetricInputs
from metrics.common.bleu import Smoothing, check_smoothing, sentence_bleu
from metrics.common.ngrams import check_orders, leave_one_out_lengths, leave_one_out_matches

__all__ = ["SelfBleu"]


@dataclass(frozen=True, kw_only=True)
class SelfBleu(Metric):
    """Mean over all samples of sentence BLEU against all the others. Keys `self_bleu_2` .. `self_bleu_5`."""

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "lower"

    orders: tuple[int, ...] = (2, 3, 4, 5)
    """One score for each; BLEU-n weighs the orders 1 to n equally."""
    smoothing: Smoothing = "method1"
    """What an order without a match counts, by NLTK's names."""

    def __post_init__(self) -> None:
        check_orders("self_bleu", self.orders)
        check_smoothing("self_bleu", self.smoothing)

    def compute(self, inputs: MetricInputs) -> dict[str, float]:
        """Mean sentence BLEU of each order, leaving one out."""
        lengths = inputs.samples.lengths
        matches = leave_one_out_matches(inputs.samples, max(self.orders))
        scores = sentence_bleu(matches, lengths, leave_one_out_lengths(lengths), self.orders, self.smoothing)
        return {f"self_bleu_{order}": float(mean) for order, mean in zip(self.orders, scores.mean(axis=1), strict=True)}

    def missing(self, inputs: MetricInputs) -> str | None:
        """One sample has no others."""
        if len(inputs.samples) == 1:
            return "self_bleu needs at least two samples: with one there are no others to compare it with"
        return super().missing(inputs)
