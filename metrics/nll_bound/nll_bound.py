"""Door for Hugging Face: `evaluate.load("metrics/nll_bound")`. The definition is in `metric.py`."""

from collections.abc import Mapping
from typing import Any

from metrics.common import hf
from metrics.common.base import MetricInputs
from metrics.common.bound import bounded
from metrics.nll_bound import metric


class NllBound(hf.IdsDoor):
    """`nll_bound` as a metric of `evaluate`."""

    definition = metric.NllBound
    column = "references"
    takes = "references= (ids), model_nll_bound=, draws=, eos_id="

    def _scores(self, inputs: MetricInputs, keywords: Mapping[str, Any]) -> dict[str, float | str]:
        """`model_nll_bound` maps (N, T) ids and a number of draws to (N,) nats."""
        return super()._scores(bounded(inputs, keywords.get("model_nll_bound")), keywords)
