"""NLL-gen: how improbable the held-out text is under the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from metrics.common.base import Better, Metric, MetricInputs
from metrics.common.likelihood import nats, scored_tokens, without_probability

__all__ = ["NllGen"]


@dataclass(frozen=True, kw_only=True)
class NllGen(Metric):
    """Nats per token that the test sentences cost under the model. Keys `nll_gen` and `nll_gen_padded`."""

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "lower"
    needs: ClassVar[tuple[str, ...]] = ("model_log_prob", "reference_ids")

    def compute(self, inputs: MetricInputs) -> dict[str, float]:
        """Nats of all test sentences / their tokens; `nll_gen_padded` divides by all N * T positions instead."""
        assert inputs.reference_ids is not None
        total = nats(inputs.references_log_prob, inputs.reference_ids).sum()
        tokens = scored_tokens(inputs.reference_ids, inputs.eos_id).sum()
        return {"nll_gen": float(total / tokens), "nll_gen_padded": float(total / inputs.reference_ids.size)}

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
