"""NLL-oracle: how improbable the samples are under the true distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from metrics.common.base import Aspect, Better, Bounds, MetricInputs, Side
from metrics.common.likelihood import nats, scored_tokens, without_probability
from metrics.common.uncertainty import MeanMetric, PerSentence

__all__ = ["NllOracle"]


@dataclass(frozen=True, kw_only=True)
class NllOracle(MeanMetric):
    """Nats per token that the samples cost under the task's true distribution. Key `nll_oracle`."""

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"
    aspect: ClassVar[Aspect] = "quality"
    side: ClassVar[Side] = "lower"
    bounds: ClassVar[Bounds] = (0.0, None)
    needs: ClassVar[tuple[str, ...]] = ("oracle_log_prob", "sample_ids")

    def by_sentence(self, inputs: MetricInputs) -> dict[str, PerSentence]:
        """Nats of each sample and its tokens, end token counted."""
        assert inputs.sample_ids is not None
        cost = nats(inputs.samples_log_prob, inputs.sample_ids)
        return {"nll_oracle": PerSentence(cost, scored_tokens(inputs.sample_ids, inputs.eos_id))}

    def missing(self, inputs: MetricInputs) -> str | None:
        """A sample that the true distribution cannot produce has no finite cost, and neither has the mean."""
        reason = super().missing(inputs)
        if reason is None and inputs.sample_ids is not None:
            impossible = without_probability(nats(inputs.samples_log_prob, inputs.sample_ids))
            if impossible:
                reason = f"{impossible} of {len(inputs.samples)} samples are impossible under the true distribution"
        return reason
