"""Door for Hugging Face: `evaluate.load("metrics/distinct")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.distinct import metric


class Distinct(hf.TextDoor):
    """`distinct` as a metric of `evaluate`."""

    definition = metric.Distinct
