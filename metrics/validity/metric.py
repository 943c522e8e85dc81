"""Validity: how many samples the task's grammar can produce."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from metrics.common.base import Better, Metric, MetricInputs
from metrics.common.likelihood import nats, scored_tokens, without_probability

__all__ = ["Validity"]


@dataclass(frozen=True, kw_only=True)
class Validity(Metric):
    """Share of samples that are sentences of the grammar. Keys `validity` and `nll_oracle_valid`.

    `nll_oracle_valid` is NLL-oracle of the valid samples; it has no key where the true distribution is not known, where
    no sample is valid, or where a valid sample has probability 0 (a grammatical sentence longer than the task's).
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "higher"
    needs: ClassVar[tuple[str, ...]] = ("is_valid",)

    def compute(self, inputs: MetricInputs) -> dict[str, float]:
        """The share, and the cost of the valid samples."""
        assert inputs.is_valid is not None
        valid = inputs.is_valid(inputs.samples)
        scores = {"validity": float(valid.mean())}
        if valid.any() and inputs.oracle_log_prob is not None and inputs.sample_ids is not None:
            cost = nats(inputs.samples_log_prob, inputs.sample_ids)[valid]
            if not without_probability(cost):
                tokens = scored_tokens(inputs.sample_ids, inputs.eos_id)[valid]
                scores["nll_oracle_valid"] = float(cost.sum() / tokens.sum())
        return scores
