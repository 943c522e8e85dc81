"""NLL-oracle of the samples that are sentences of the grammar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from metrics.common.base import Aspect, Better, Bounds, MetricInputs, Side
from metrics.common.likelihood import nats, scored_tokens, without_probability
from metrics.common.uncertainty import MeanMetric, PerSentence

__all__ = ["NllOracleValid"]


@dataclass(frozen=True, kw_only=True)
class NllOracleValid(MeanMetric):
    """Nats per token that the valid samples cost under the task's true distribution. Key `nll_oracle_valid`."""

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"
    aspect: ClassVar[Aspect] = "quality"
    side: ClassVar[Side] = "lower"
    bounds: ClassVar[Bounds] = (0.0, None)
    needs: ClassVar[tuple[str, ...]] = ("is_valid", "oracle_log_prob", "sample_ids")

    def is_ranked(self, key: str) -> bool:
        """Never: it looks at the valid samples alone, so a model with hardly any could win."""
        return False

    def by_sentence(self, inputs: MetricInputs) -> dict[str, PerSentence]:
        """Nats of each valid sample and its tokens, end token counted; an invalid one adds nothing to either sum."""
        assert inputs.sample_ids is not None
        valid = inputs.samples_valid
        cost = np.where(valid, nats(inputs.samples_log_prob, inputs.sample_ids), 0.0)
        tokens = np.where(valid, scored_tokens(inputs.sample_ids, inputs.eos_id), 0)
        return {"nll_oracle_valid": PerSentence(cost, tokens)}

    def missing(self, inputs: MetricInputs) -> str | None:
        """Some sample must be valid, and every valid one possible: a valid sentence may be too long for the task."""
        reason = super().missing(inputs)
        if reason is None and inputs.sample_ids is not None:
            valid = inputs.samples_valid
            if not valid.any():
                return f"none of {len(inputs.samples)} samples is valid"
            impossible = without_probability(nats(inputs.samples_log_prob, inputs.sample_ids)[valid])
            if impossible:
                reason = f"{impossible} of {valid.sum()} valid samples are impossible under the true distribution"
        return reason
