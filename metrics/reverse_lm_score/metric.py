"""Reverse LM score: how improbable real text is to a language model of the samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from metrics.common.base import Aspect, Better, Bounds, Estimate, MetricInputs
from metrics.common.language_model import LanguageModelMetric
from metrics.common.tokens import Tokens
from metrics.common.uncertainty import jackknife

__all__ = ["ReverseLmScore"]

_GROUPS = 20
"""Of samples, for the jackknife: the standard error itself then has an error of 16% (1 / sqrt(2 * 19))."""


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
        return {"reverse_lm_score": self._cost(inputs.samples, real)}

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """The standard error is the jackknife's over groups of samples: a model without each (Shao and Tu 1995, 2.3).

        Group g is every sample whose place is g modulo the number of groups.
        """
        real = self.real(inputs)
        assert real is not None
        n = len(inputs.samples)
        groups = np.arange(n) % _GROUPS
        others = [inputs.samples.select(np.flatnonzero(groups != g)) for g in range(min(_GROUPS, n))]
        without = np.array([self._cost(samples, real) for samples in others if len(samples)])
        return {"reverse_lm_score": jackknife(self._cost(inputs.samples, real), without)}

    def _cost(self, samples: Tokens, real: Tokens) -> float:
        return float(self.fitted(samples, real)(real).sum() / (real.lengths + 1).sum())
