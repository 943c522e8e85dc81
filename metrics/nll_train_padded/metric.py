"""NLL of the training text by padded positions: what RelGAN's tables call NLL_gen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from metrics.common.base import Aspect, Better, Bounds, MetricInputs
from metrics.common.likelihood import nats, without_probability
from metrics.common.uncertainty import MeanMetric, PerSentence

__all__ = ["NllTrainPadded"]


@dataclass(frozen=True, kw_only=True)
class NllTrainPadded(MeanMetric):
    """Nats that the training sentences cost under the model, by all their N T positions. Key `nll_train_padded`."""

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"
    aspect: ClassVar[Aspect] = "memorisation"
    bounds: ClassVar[Bounds] = (0.0, None)
    needs: ClassVar[tuple[str, ...]] = ("model_log_prob", "training_ids")

    def is_ranked(self, key: str) -> bool:
        """Never: real text has no likelihood, so there is no value to be near to."""
        return False

    def by_sentence(self, inputs: MetricInputs) -> dict[str, PerSentence]:
        """Nats of each training sentence, and T positions for each."""
        assert inputs.training_ids is not None
        cost = nats(inputs.training_log_prob, inputs.training_ids)
        n, width = inputs.training_ids.shape
        return {"nll_train_padded": PerSentence(cost, np.full(n, width))}

    def missing(self, inputs: MetricInputs) -> str | None:
        """A training sentence that the model gives no probability has no finite cost, and neither has the mean."""
        reason = super().missing(inputs)
        if reason is None and inputs.training_ids is not None:
            if len(inputs.training_ids) == 0:
                return f"{self.name} needs at least one training sentence"
            impossible = without_probability(nats(inputs.training_log_prob, inputs.training_ids))
            if impossible:
                reason = (
                    f"the model gives {impossible} of {len(inputs.training_ids)} training sentences "
                    "no finite log-probability"
                )
        return reason

    def counts(self, inputs: MetricInputs) -> dict[str, int]:
        """Training sentences; the samples play no part."""
        return {"sentences": 0 if inputs.training_ids is None else len(inputs.training_ids)}
