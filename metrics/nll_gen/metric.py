"""NLL-gen: how improbable the held-out text is under the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from metrics.common.base import Aspect, Better, Bounds, MetricInputs
from metrics.common.likelihood import nats, scored_tokens, without_probability
from metrics.common.uncertainty import MeanMetric, PerSentence

__all__ = ["NllGen"]


@dataclass(frozen=True, kw_only=True)
class NllGen(MeanMetric):
    """Nats per token that the test sentences cost under the model. Keys `nll_gen` and `nll_gen_padded`."""

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "lower"
    aspect: ClassVar[Aspect] = "both"
    bounds: ClassVar[Bounds] = (0.0, None)
    needs: ClassVar[tuple[str, ...]] = ("model_log_prob", "reference_ids")

    def keys(self) -> dict[str, Better]:
        """Per token, and per place of a row."""
        return dict.fromkeys(["nll_gen", "nll_gen_padded"], self.better)

    def by_sentence(self, inputs: MetricInputs) -> dict[str, PerSentence]:
        """Nats of each test sentence and its tokens; `nll_gen_padded` counts T tokens for each instead."""
        assert inputs.reference_ids is not None
        cost = nats(inputs.references_log_prob, inputs.reference_ids)
        n, width = inputs.reference_ids.shape
        return {
            "nll_gen": PerSentence(cost, scored_tokens(inputs.reference_ids, inputs.eos_id)),
            "nll_gen_padded": PerSentence(cost, np.full(n, width)),
        }

    def missing(self, inputs: MetricInputs) -> str | None:
        """A test sentence that the model gives no probability has no finite cost, and neither has the mean."""
        reason = super().missing(inputs)
        if reason is None and inputs.reference_ids is not None:
            if len(inputs.reference_ids) == 0:
                return "none of the test sentences can be written in the task's vocabulary and length"
            impossible = without_probability(nats(inputs.references_log_prob, inputs.reference_ids))
            if impossible:
                reason = (
                    f"the model gives {impossible} of {len(inputs.reference_ids)} test sentences "
                    "no finite log-probability"
                )
        return reason

    def counts(self, inputs: MetricInputs) -> dict[str, int]:
        """Test sentences that the vocabulary can write; the samples play no part."""
        return {"sentences": 0 if inputs.reference_ids is None else len(inputs.reference_ids)}
