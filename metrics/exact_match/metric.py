"""Exact match: how many rewritten sentences are the right answer, word for word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from metrics.common.base import Aspect, Better, Bounds, Estimate, MetricInputs
from metrics.common.rewriting import RewriteMetric, answers_of
from metrics.common.sentences import sentence_keys
from metrics.common.uncertainty import ratio

__all__ = ["ExactMatch"]


@dataclass(frozen=True, kw_only=True)
class ExactMatch(RewriteMetric):
    """Share of sentences that are the one right answer to their input. Key `exact_match`."""

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "higher"
    aspect: ClassVar[Aspect] = "quality"
    bounds: ClassVar[Bounds] = (0.0, 1.0)
    by_count: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("references",)

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """1 for the right answer, 0 for another sentence."""
        ours, right = (np.array(sentence_keys(t), object) for t in (inputs.samples, answers_of(inputs).sets[0]))
        return {"exact_match": ratio((ours == right).astype(np.float64))}

    def missing(self, inputs: MetricInputs) -> str | None:
        """Where people wrote the answers, others are right too."""
        if reason := super().missing(inputs):
            return reason
        if not answers_of(inputs).right:
            return "exact_match needs a task in which one answer is right and no other"
        return None
