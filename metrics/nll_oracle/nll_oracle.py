"""Door for Hugging Face: `evaluate.load("metrics/nll_oracle")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.nll_oracle import metric


class NllOracle(hf.IdsDoor):
    """`nll_oracle` as a metric of `evaluate`."""

    definition = metric.NllOracle
    column = "predictions"
