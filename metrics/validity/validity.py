"""Door for Hugging Face: `evaluate.load("metrics/validity")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.validity import metric


class Validity(hf.TextDoor):
    """`validity` as a metric of `evaluate`."""

    definition = metric.Validity
