"""Reverse LM score of known words: the reverse LM score where words that the training text has not do not count."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from metrics.common.base import Aspect, Better, Bounds, Estimate, Meaning, MetricInputs
from metrics.common.language_model import LanguageModelMetric, known_costs, of_all_and_without_each
from metrics.common.uncertainty import EstimatedMetric, jackknife

__all__ = ["ReverseLmScoreKnown"]


@dataclass(frozen=True, kw_only=True)
class ReverseLmScoreKnown(LanguageModelMetric, EstimatedMetric):
    """Nats per token that real text costs under a language model of the samples, for words of the training text alone.

    Keys `reverse_lm_score_known` and `reverse_lm_score_unknown`: the share of the real text's tokens, ends included,
    that the training text does not hold. It is the same for every model.
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "lower"
    aspect: ClassVar[Aspect] = "both"
    bounds: ClassVar[Bounds] = (0.0, None)

    @property
    def needs(self) -> tuple[str, ...]:
        """The real text that `corpus` names, and the training text for its words."""
        return tuple(dict.fromkeys([self.corpus, "training"]))

    @property
    def counted(self) -> tuple[str, ...]:
        """More training text, more words."""
        return self.needs

    def keys(self) -> dict[str, Better]:
        """The cost is better when it is lower; the share is a fact about the data."""
        return {self.name: self.better, "reverse_lm_score_unknown": "real"}

    def is_ranked(self, key: str) -> bool:
        """Not by the share."""
        return key == self.name

    def meaning(self, key: str) -> Meaning:
        """Of the training text the words alone are read: the target is that of `reverse_lm_score`, no held-out text."""
        meaning = replace(super().meaning(key), held_out=False)
        return meaning if key == self.name else replace(meaning, bounds=(0.0, 1.0))

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """The standard error is the jackknife's over groups of samples, a model without each, as of the whole score."""
        real, training = self.real(inputs), inputs.training
        assert real is not None
        assert training is not None
        found = of_all_and_without_each(inputs.samples, real, order=self.order, discount=self.discount)
        costs = (known_costs(probabilities, real, training) for probabilities in found)
        value, *without = (float(nats.sum() / known.sum()) for nats, known in costs)
        unknown = float((~np.isin(real.flat, training.flat)).sum() / (real.lengths + 1).sum())
        return {
            self.name: jackknife(value, np.array(without)),
            "reverse_lm_score_unknown": Estimate(unknown, None),
        }
