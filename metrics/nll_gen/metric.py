"""NLL-gen: how improbable the held-out text is under the model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from metrics.common.base import Aspect, Better, Bounds, Estimate, Meaning, MetricInputs
from metrics.common.likelihood import NO_ORACLE, evenly, nats, scored_tokens, without_probability
from metrics.common.uncertainty import MeanMetric, PerSentence, ratio

__all__ = ["NllGen"]

_TEMPERATURES = (0.25, 4.0)
_ACCURACY = 0.005
"""Of the logarithm of the temperature: NLL is flat at its minimum, where it makes a difference of 1e-5 nats."""


@dataclass(frozen=True, kw_only=True)
class NllGen(MeanMetric):
    """Nats per token that the test sentences cost under the model.

    Keys `nll_gen`, `nll_gen_padded`, `nll_gen_calibrated`, `nll_gen_temperature`, `kl_from_oracle`.
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "lower"
    aspect: ClassVar[Aspect] = "both"
    bounds: ClassVar[Bounds] = (0.0, None)
    slack: ClassVar[Mapping[str, float]] = {"nll_gen_temperature": 0.01, "nll_gen_calibrated": 1e-4}
    needs: ClassVar[tuple[str, ...]] = ("reference_ids",)

    def keys(self) -> dict[str, Better]:
        """The cost per word, per cell of the (N, T) table, at the best temperature, which it is, and the divergence."""
        lower = ("nll_gen", "nll_gen_padded", "nll_gen_calibrated", "kl_from_oracle")
        return {**dict.fromkeys(lower, self.better), "nll_gen_temperature": "real"}

    def meaning(self, key: str) -> Meaning:
        """The temperature is no score."""
        found = super().meaning(key)
        if key == "nll_gen_temperature":
            return replace(found, aspect="", side="", ranked=False)
        return replace(found, bounds=(None, None)) if key == "kl_from_oracle" else found

    def needs_model(self, key: str) -> bool:
        """All of them."""
        del key
        return True

    def by_sentence(self, inputs: MetricInputs) -> dict[str, PerSentence]:
        """Nats of each test sentence and its tokens; `nll_gen_padded` counts T tokens for each instead."""
        rows = inputs.reference_ids
        assert rows is not None
        tokens = scored_tokens(rows, inputs.eos_id)
        found: dict[str, PerSentence] = {}
        if inputs.model_log_prob is not None:
            cost = nats(inputs.references_log_prob, rows)
            found["nll_gen"] = PerSentence(cost, tokens)
            found["nll_gen_padded"] = PerSentence(cost, np.full(len(rows), rows.shape[1]))
        if inputs.oracle_log_prob is not None:
            own = nats(inputs.references_own_log_prob, rows)
            found["kl_from_oracle"] = PerSentence(own - nats(inputs.oracle_log_prob(rows), rows), tokens)
        return found

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """The costs with their standard errors, and the fitted temperature without one."""
        found = super().estimates(inputs)
        if not self._not_fitted(inputs):
            assert inputs.log_prob_at is not None
            assert inputs.reference_ids is not None
            temperature = _fitted(inputs)
            cost = nats(inputs.log_prob_at(inputs.reference_ids, temperature), inputs.reference_ids)
            found["nll_gen_calibrated"] = ratio(cost, scored_tokens(inputs.reference_ids, inputs.eos_id))
            found["nll_gen_temperature"] = Estimate(temperature, None)
        return found

    def missing(self, inputs: MetricInputs) -> str | None:
        """A test sentence that the model gives no probability has no finite cost, and neither has the mean."""
        if (reason := super().missing(inputs)) is not None:
            return reason
        if inputs.own_log_prob is None and inputs.model_log_prob is None:
            return f"{self.name} needs a model with a likelihood, at the temperature of the samples"
        if inputs.model_log_prob is None and inputs.oracle_log_prob is None:
            return f"{self.name} is measured at temperature 1 only"
        assert inputs.reference_ids is not None
        if len(inputs.reference_ids) == 0:
            return "none of the test sentences can be written in the task's vocabulary and length"
        cost = inputs.references_log_prob if inputs.model_log_prob is not None else inputs.references_own_log_prob
        if impossible := without_probability(nats(cost, inputs.reference_ids)):
            return (
                f"the model gives {impossible} of {len(inputs.reference_ids)} test sentences no finite log-probability"
            )
        return None

    def absent(self, inputs: MetricInputs) -> dict[str, str]:
        """NLL-gen is of temperature 1; a divergence needs the truth, and a fit validation sentences."""
        reasons: dict[str, str] = {}
        if inputs.model_log_prob is None:
            reasons |= {key: f"{key} is measured at temperature 1 only" for key in ("nll_gen", "nll_gen_padded")}
        if inputs.oracle_log_prob is None:
            reasons["kl_from_oracle"] = NO_ORACLE
        if (reason := self._not_fitted(inputs)) is not None:
            reasons |= dict.fromkeys(("nll_gen_calibrated", "nll_gen_temperature"), reason)
        return reasons

    def _not_fitted(self, inputs: MetricInputs) -> str | None:
        """Why no temperature is fitted."""
        if inputs.model_log_prob is None:
            return "the temperature is fitted once, beside the samples of temperature 1"
        if inputs.log_prob_at is None:
            return "the model's likelihood at other temperatures is not known or not asked for here"
        if inputs.validation_ids is None:
            return "there are no validation sentences to fit the temperature on"
        return None

    def counts(self, inputs: MetricInputs) -> dict[str, int]:
        """Test sentences that the vocabulary can write; the samples play no part."""
        return {"sentences": 0 if inputs.reference_ids is None else len(inputs.reference_ids)}


def _fitted(inputs: MetricInputs) -> float:
    """The temperature with the least cost per token of validation sentences."""
    from scipy.optimize import minimize_scalar  # a third of a second that only a model's likelihood needs

    assert inputs.log_prob_at is not None
    assert inputs.validation_ids is not None
    rows, ask = evenly(inputs.validation_ids), inputs.log_prob_at

    def cost(log_temperature: float) -> float:
        return float(nats(ask(rows, math.exp(log_temperature)), rows).sum())

    low, high = map(math.log, _TEMPERATURES)
    return math.exp(minimize_scalar(cost, bounds=(low, high), method="bounded", options={"xatol": _ACCURACY}).x)
