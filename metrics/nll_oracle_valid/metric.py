"""NLL-oracle of the samples that are sentences of the grammar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from metrics.common.base import Better, Metric, MetricInputs
from metrics.common.likelihood import nats, scored_tokens, without_probability

__all__ = ["NllOracleValid"]


@dataclass(frozen=True, kw_only=True)
class NllOracleValid(Metric):
    """Nats per token that the valid samples cost under the task's true distribution. Key `nll_oracle_valid`."""

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "lower"
    needs: ClassVar[tuple[str, ...]] = ("is_valid", "oracle_log_prob", "sample_ids")

    def compute(self, inputs: MetricInputs) -> dict[str, float]:
        """Nats of the valid samples / tokens of the valid samples, end tokens counted."""
        assert inputs.sample_ids is not None
        total = nats(inputs.samples_log_prob, inputs.sample_ids)[inputs.samples_valid].sum()
        tokens = scored_tokens(inputs.sample_ids, inputs.eos_id)[inputs.samples_valid].sum()
        return {"nll_oracle_valid": float(total / tokens)}

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
