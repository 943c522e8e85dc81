"""Target NLL: how improbable rewritten sentences are to a language model of the class that was wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from metrics.common.base import Aspect, Better, Bounds, Estimate, MetricInputs, Side
from metrics.common.kneser_ney import model_of
from metrics.common.rewriting import RewriteMetric, answers_of
from metrics.common.signature import Setting
from metrics.common.uncertainty import ratio

__all__ = ["TargetNll"]


@dataclass(frozen=True, kw_only=True)
class TargetNll(RewriteMetric):
    """Nats per token under an interpolated Kneser-Ney model of real text of the class wanted. Key `target_nll`."""

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"
    aspect: ClassVar[Aspect] = "quality"
    side: ClassVar[Side] = "lower"
    bounds: ClassVar[Bounds] = (0.0, None)
    by_count: ClassVar[bool] = False

    order: int = 4
    """Words that the model looks at: the one that is predicted and those before it."""
    discount: float = 0.85
    """Taken off each count that is not 0, for what was not seen; above 0 and below 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.order, int) or self.order < 2:
            raise ValueError(f"{self.name}: order must be a whole number from 2, got {self.order!r}")
        if not 0 < self.discount < 1:
            raise ValueError(f"{self.name}: discount must be above 0 and below 1, got {self.discount!r}")

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """Nats of all sentences, their ends included, by the number of their tokens and ends."""
        answers, nats = answers_of(inputs), np.zeros(len(inputs.samples))
        for rows in answers.directions():
            text = answers.class_text[int(answers.wanted[rows[0]])]
            nats[rows] = model_of(text, order=self.order, discount=self.discount).nats(inputs.samples.select(rows))
        return {"target_nll": ratio(nats, inputs.samples.lengths + 1)}

    def missing(self, inputs: MetricInputs) -> str | None:
        """There must be text of every class."""
        if reason := super().missing(inputs):
            return reason
        if not all(len(text) for text in answers_of(inputs).class_text or [()]):
            return "target_nll needs real text of each class"
        return None

    def settings(self, inputs: MetricInputs) -> dict[str, Setting]:
        """The model's settings and how much text of each class there is."""
        text = tuple(len(one) for one in answers_of(inputs).class_text)
        return {
            "order": self.order, "discount": self.discount, "text": text, "samples": len(inputs.samples),
            "v": self.version,
        }  # fmt: skip
