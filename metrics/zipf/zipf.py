"""Door for Hugging Face: `evaluate.load("metrics/zipf")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.zipf import metric


class Zipf(hf.TextDoor):
    """`zipf` as a metric of `evaluate`."""

    definition = metric.Zipf
