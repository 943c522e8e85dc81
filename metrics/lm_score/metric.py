"""LM score: how improbable the samples are to a language model of real text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from metrics.common.base import Aspect, Better, Bounds, MetricInputs, Side
from metrics.common.language_model import LanguageModelMetric
from metrics.common.uncertainty import MeanMetric, PerSentence

__all__ = ["LmScore"]


@dataclass(frozen=True, kw_only=True)
class LmScore(LanguageModelMetric, MeanMetric):
    """Nats per token that the samples cost under a language model of real text. Key `lm_score`."""

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"
    aspect: ClassVar[Aspect] = "quality"
    side: ClassVar[Side] = "lower"
    bounds: ClassVar[Bounds] = (0.0, None)

    def by_sentence(self, inputs: MetricInputs) -> dict[str, PerSentence]:
        """Nats of each sample, and its tokens with the end of the sentence."""
        real = self.real(inputs)
        assert real is not None
        nats = self.fitted(real, real)
        return {"lm_score": PerSentence(nats(inputs.samples), inputs.samples.lengths + 1)}
