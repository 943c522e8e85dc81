"""Door for Hugging Face: `evaluate.load("metrics/nll_gen")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.nll_gen import metric


class NllGen(hf.IdsDoor):
    """`nll_gen` as a metric of `evaluate`."""

    definition = metric.NllGen
    column = "references"
