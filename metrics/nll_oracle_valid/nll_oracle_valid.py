"""Door for Hugging Face: `evaluate.load("metrics/nll_oracle_valid")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.nll_oracle_valid import metric


class NllOracleValid(hf.IdsDoor):
    """`nll_oracle_valid` as a metric of `evaluate`."""

    definition = metric.NllOracleValid
    column = "predictions"
