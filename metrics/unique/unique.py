"""Door for Hugging Face: `evaluate.load("metrics/unique")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.unique import metric


class Unique(hf.TextDoor):
    """`unique` as a metric of `evaluate`."""

    definition = metric.Unique
