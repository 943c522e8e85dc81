"""Door for Hugging Face: `evaluate.load("metrics/ms_jaccard")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.ms_jaccard import metric


class MsJaccard(hf.TextDoor):
    """`ms_jaccard` as a metric of `evaluate`."""

    definition = metric.MsJaccard
