"""NLL of the words given the class: how improbable the held-out text of each class is under a model that is told it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from metrics.common.base import Aspect, Better, Bounds, Estimate, Meaning, MetricInputs
from metrics.common.labels import LabelledInputs, not_labelled
from metrics.common.likelihood import NO_ORACLE, nats, scored_tokens, without_probability
from metrics.common.uncertainty import EstimatedMetric, ratio

__all__ = ["NllClass"]


@dataclass(frozen=True, kw_only=True)
class NllClass(EstimatedMetric):
    """Nats per token that the words of the test sentences cost under the model that is told their class.

    Keys `nll_class`, `nll_class_worst`, `kl_class_from_oracle`.
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "lower"
    aspect: ClassVar[Aspect] = "both"
    bounds: ClassVar[Bounds] = (0.0, None)
    by_count: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("reference_ids",)

    def keys(self) -> dict[str, Better]:
        """Of all test sentences, of the class that costs most, and what is lost against the true distribution."""
        return dict.fromkeys(("nll_class", "nll_class_worst", "kl_class_from_oracle"), self.better)

    def is_ranked(self, key: str) -> bool:
        """By the whole; the worst class is a part of it."""
        return key != "nll_class_worst"

    def meaning(self, key: str) -> Meaning:
        """A divergence that is estimated may be a little under 0."""
        found = super().meaning(key)
        return replace(found, bounds=(None, None)) if key == "kl_class_from_oracle" else found

    def needs_model(self, key: str) -> bool:
        """All of them."""
        del key
        return True

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """The label is the first token of a row: neither its cost nor itself is counted."""
        assert isinstance(inputs, LabelledInputs)
        rows = inputs.reference_ids
        assert rows is not None
        cost, tokens = _cost(inputs), scored_tokens(rows, inputs.eos_id) - 1
        labels = np.unique(rows[:, 0], return_inverse=True)[1]
        costs, lengths = np.bincount(labels, cost), np.bincount(labels, tokens)
        worst = float((costs[lengths > 0] / lengths[lengths > 0]).max())
        found = {"nll_class": ratio(cost, tokens), "nll_class_worst": Estimate(worst, None)}
        if inputs.oracle_log_prob is not None and inputs.oracle_label_log_prob is not None:
            true = inputs.oracle_log_prob(rows) - inputs.oracle_label_log_prob(rows)
            found["kl_class_from_oracle"] = ratio(cost + true, tokens)
        return found

    def missing(self, inputs: MetricInputs) -> str | None:
        """The model must be one that can be told a class and has a likelihood, finite for every test sentence."""
        if reason := not_labelled(self.name, inputs) or super().missing(inputs):
            return reason
        assert isinstance(inputs, LabelledInputs)
        if inputs.model_log_prob is None or inputs.model_label_log_prob is None:
            return f"{self.name} needs a model with a likelihood that can be told a class, and samples of temperature 1"
        assert inputs.reference_ids is not None
        if len(inputs.reference_ids) == 0:
            return "none of the test sentences can be written in the task's vocabulary and length"
        if not (scored_tokens(inputs.reference_ids, inputs.eos_id) > 1).any():
            return "the test sentences hold their labels and no word"
        if impossible := without_probability(_cost(inputs)):
            return (
                f"the model gives {impossible} of {len(inputs.reference_ids)} test sentences no finite log-probability"
            )
        return None

    def absent(self, inputs: MetricInputs) -> dict[str, str]:
        """A divergence needs the truth."""
        assert isinstance(inputs, LabelledInputs)
        known = inputs.oracle_log_prob is not None and inputs.oracle_label_log_prob is not None
        return {} if known else {"kl_class_from_oracle": NO_ORACLE}

    def counts(self, inputs: MetricInputs) -> dict[str, int]:
        """Test sentences that the vocabulary can write; the samples play no part."""
        return {"sentences": 0 if inputs.reference_ids is None else len(inputs.reference_ids)}


def _cost(inputs: LabelledInputs) -> NDArray[np.float64]:
    """(N,) nats of the words of each test sentence, given its label."""
    assert inputs.reference_ids is not None
    assert inputs.model_label_log_prob is not None
    whole = nats(inputs.references_log_prob, inputs.reference_ids)
    with np.errstate(invalid="ignore"):  # a label that the model never writes: infinity less infinity
        return whole - nats(inputs.model_label_log_prob(inputs.reference_ids), inputs.reference_ids)
