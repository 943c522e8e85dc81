"""Reverse LM score: how improbable real text is to a language model of the samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from metrics.common.base import Aspect, Better, Bounds, Estimate, MetricInputs
from metrics.common.kneser_ney import nats_of
from metrics.common.language_model import LanguageModelMetric, of_all_and_without_each
from metrics.common.uncertainty import jackknife

__all__ = ["ReverseLmScore"]


@dataclass(frozen=True, kw_only=True)
class ReverseLmScore(LanguageModelMetric):
    """Nats per token that real text costs under a language model of the samples. Key `reverse_lm_score`."""

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "lower"
    aspect: ClassVar[Aspect] = "both"
    bounds: ClassVar[Bounds] = (0.0, None)

    def compute(self, inputs: MetricInputs) -> dict[str, float]:
        """Nats of all real sentences / their tokens, the ends of the sentences included."""
        real = self.real(inputs)
        assert real is not None
        return {"reverse_lm_score": float(self.fitted(inputs.samples, real)(real).sum() / (real.lengths + 1).sum())}

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """The standard error is the jackknife's over groups of samples: a model without each."""
        real = self.real(inputs)
        assert real is not None
        found = of_all_and_without_each(inputs.samples, real, order=self.order, discount=self.discount)
        value, *without = (float(nats_of(p, real).sum() / (real.lengths + 1).sum()) for p in found)
        return {"reverse_lm_score": jackknife(value, np.array(without))}
