"""What metrics may look at, on any task: on one with classes, labels and words come apart."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.labels.data import LabelledText
from bench.score.scoring import metric_inputs
from bench.task import TextData, Vocabulary
from metrics.common.base import MetricInputs, SentenceLogProb
from metrics.common.labels import LabelledInputs, labelled
from metrics.common.tokens import Tokens

if TYPE_CHECKING:
    from bench.score.drawing import Likelihood

__all__ = ["inputs_of"]


def inputs_of(
    data: TextData,
    samples: Tokens,
    likelihood: SentenceLogProb | Likelihood | None = None,
    temperature: float = 1.0,
    vocabulary: Vocabulary | None = None,
) -> MetricInputs:
    """As `metric_inputs`; where the task has classes, they are `LabelledInputs`."""
    inputs = metric_inputs(data, samples, likelihood, temperature, vocabulary)
    if not isinstance(data, LabelledText):
        return inputs
    if inputs.model_log_prob is not None:  # at temperature 1 they are one, and are asked for the test sentences in turn
        once = _once(inputs.model_log_prob)
        inputs = replace(inputs, model_log_prob=once, own_log_prob=once)
    of_label = getattr(likelihood, "label_log_prob", None)
    found = labelled(
        inputs,
        data.spec.class_ids,
        data.spec.classes,
        judge=data.judge,
        model_label_log_prob=of_label if temperature == 1 else None,
        oracle_label_log_prob=data.oracle_label_log_prob,
    )
    if of_label is not None and inputs.own_log_prob is not None:
        own = _as_asked(found, data, lambda ids: of_label(ids, temperature) if temperature != 1 else of_label(ids))
        return replace(found, own_log_prob=own)
    return found


def _once(log_prob: SentenceLogProb) -> SentenceLogProb:
    """The same, which for an array that it was given before does not compute again."""
    known: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []

    def asked(ids: NDArray[np.int64]) -> NDArray[np.float64]:
        found = next((values for rows, values in known if rows is ids), None)
        if found is None:
            found = log_prob(ids)
            known.append((ids, found))
        return found

    return asked


def _as_asked(inputs: LabelledInputs, data: LabelledText, label_log_prob: SentenceLogProb) -> SentenceLogProb:
    """Samples whose classes were asked for are of the model given the class, the classes in the shares of the samples.

    So is `own_log_prob`, which the model's own words for the label then have no part in.
    """
    own = inputs.own_log_prob
    assert own is not None
    counts = np.bincount(inputs.sample_labels[inputs.sample_labels >= 0], minlength=len(data.spec.classes))
    with np.errstate(divide="ignore"):
        log_share = np.log(counts / max(1, counts.sum()))

    def as_asked(ids: NDArray[np.int64]) -> NDArray[np.float64]:
        label = ids[:, 0] - data.spec.class_ids[0]
        share = np.where(label >= 0, log_share[np.maximum(label, 0)], -np.inf)
        return own(ids) - label_log_prob(ids) + share

    return as_asked
