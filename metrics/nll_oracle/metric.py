"""NLL-oracle: how improbable the samples are under the true distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from metrics.common.base import Better, Metric, MetricInputs
from metrics.common.likelihood import nats, scored_tokens, without_probability

__all__ = ["NllOracle"]


@dataclass(frozen=True, kw_only=True)
class NllOracle(Metric):
    """Nats per token that the samples cost under the task's true distribution. Key `nll_oracle`."""

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "lower"
    needs: ClassVar[tuple[str, ...]] = ("oracle_log_prob", "sample_ids")

    def compute(self, inputs: MetricInputs) -> dict[str, float]:
        """Nats of all samples / tokens of all samples, end tokens counted."""
        assert inputs.sample_ids is not None
        total = nats(inputs.samples_log_prob, inputs.sample_ids).sum()
        return {"nll_oracle": float(total / scored_tokens(inputs.sample_ids, inputs.eos_id).sum())}

    def missing(self, inputs: MetricInputs) -> str | None:
        """A sample that the true distribution cannot produce has no finite cost, and neither has the mean."""
        reason = super().missing(inputs)
        if reason is None and inputs.sample_ids is not None:
            impossible = without_probability(nats(inputs.samples_log_prob, inputs.sample_ids))
            if impossible:
                reason = f"{impossible} of {len(inputs.samples)} samples are impossible under the true distribution"
        return reason
