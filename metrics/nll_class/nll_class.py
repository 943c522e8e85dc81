"""Door for Hugging Face: `evaluate.load("metrics/nll_class")`. The definition is in `metric.py`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from metrics.common import hf
from metrics.common.base import MetricInputs
from metrics.common.labels import as_labelled
from metrics.nll_class import metric


class NllClass(hf.IdsDoor):
    """`nll_class` as a metric of `evaluate`."""

    definition = metric.NllClass
    column = "references"
    takes = "references= (ids, the label first), model_log_prob=, model_label_log_prob=, oracle_log_prob=, eos_id="

    def _scores(self, inputs: MetricInputs, keywords: Mapping[str, Any]) -> dict[str, float | str]:
        """`model_label_log_prob` maps (N, T) ids to (N,): the label's part of `model_log_prob`; so for the oracle."""
        assert inputs.reference_ids is not None
        labels = np.unique(inputs.reference_ids[:, 0])
        given = as_labelled(
            inputs,
            classes=tuple(map(str, labels)),
            reference_labels=np.searchsorted(labels, inputs.reference_ids[:, 0]),
            model_label_log_prob=keywords.get("model_label_log_prob"),
            oracle_label_log_prob=keywords.get("oracle_label_log_prob"),
        )
        return super()._scores(given, keywords)
