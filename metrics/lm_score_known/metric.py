"""LM score of known words: the LM score where words that the language model does not know do not count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from metrics.common.base import Aspect, Better, Bounds, Meaning, MetricInputs, Side
from metrics.common.kneser_ney import model_of
from metrics.common.language_model import LanguageModelMetric, known_costs
from metrics.common.uncertainty import MeanMetric, PerSentence

__all__ = ["LmScoreKnown"]


@dataclass(frozen=True, kw_only=True)
class LmScoreKnown(LanguageModelMetric, MeanMetric):
    """Nats per known token that the samples cost under a language model of real text, and the share of unknown ones.

    Keys `lm_score_known` and `lm_score_unknown`. The end of a sentence is a token, and known.
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"
    aspect: ClassVar[Aspect] = "quality"
    side: ClassVar[Side] = "lower"
    bounds: ClassVar[Bounds] = (0.0, None)

    def keys(self) -> dict[str, Better]:
        """The cost, and the share."""
        return dict.fromkeys([self.name, "lm_score_unknown"], self.better)

    def meaning(self, key: str) -> Meaning:
        """A share is between 0 and 1, and too good on neither side."""
        meaning = super().meaning(key)
        return replace(meaning, bounds=(0.0, 1.0), side="") if key == "lm_score_unknown" else meaning

    def is_ranked(self, key: str) -> bool:
        """Not by the share, which says how far `lm_score` can be trusted."""
        return key == self.name

    def by_sentence(self, inputs: MetricInputs) -> Mapping[str, PerSentence]:
        """Nats and number of each sample's known tokens; its unknown ones, and all."""
        real, tokens = self.real(inputs), inputs.samples.lengths + 1
        assert real is not None
        model = model_of(real, order=self.order, discount=self.discount)
        nats, known = known_costs(model.probabilities(inputs.samples), inputs.samples, real)
        return {self.name: PerSentence(nats, known), "lm_score_unknown": PerSentence(tokens - known, tokens)}
