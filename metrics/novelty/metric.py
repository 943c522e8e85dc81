"""Novelty: how much of what the samples say is not in the training text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from metrics.common.base import Aspect, Better, Bounds, MetricInputs, too_short
from metrics.common.ngrams import ngrams_by_sentence, reference_index
from metrics.common.sentences import sentence_keys
from metrics.common.uncertainty import MeanMetric, PerSentence

__all__ = ["Novelty"]


@dataclass(frozen=True, kw_only=True)
class Novelty(MeanMetric):
    """Share of samples, and of their n-grams, that the training text does not hold.

    Keys `novelty` and `novelty_ngram_2` .. `novelty_ngram_4`; an order that no sample is long enough for is absent.
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"
    aspect: ClassVar[Aspect] = "memorisation"
    bounds: ClassVar[Bounds] = (0.0, 1.0)
    needs: ClassVar[tuple[str, ...]] = ("training",)
    counted: ClassVar[tuple[str, ...]] = needs
    """Novelty falls with the amount of training text."""

    orders: tuple[int, ...] = (2, 3, 4)
    """Orders of the n-grams."""

    def keys(self) -> dict[str, Better]:
        """Of whole sentences, and of n-grams."""
        return dict.fromkeys(["novelty", *(f"novelty_ngram_{n}" for n in self.orders)], self.better)

    def absent(self, inputs: MetricInputs) -> dict[str, str]:
        """The orders that no sample is long enough for."""
        return too_short(self.orders, "novelty_ngram_{}", "sample", inputs.samples)

    def by_sentence(self, inputs: MetricInputs) -> dict[str, PerSentence]:
        """Whether each sample is new, and its new n-grams; repetitions count as often as they occur."""
        assert inputs.training is not None
        known = set(sentence_keys(inputs.training))
        new = np.array([sentence not in known for sentence in sentence_keys(inputs.samples)], np.float64)
        top = max(self.orders)
        seen = reference_index(inputs.training, top).seen(inputs.samples)
        total = ngrams_by_sentence(inputs.samples, top)
        shares = {
            f"novelty_ngram_{n}": PerSentence(total[n - 1] - seen[n - 1], total[n - 1])
            for n in self.orders
            if total[n - 1].any()
        }
        return {"novelty": PerSentence(new), **shares}
