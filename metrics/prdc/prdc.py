"""Door for Hugging Face: `evaluate.load("metrics/prdc")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.prdc import metric


class Prdc(hf.TextDoor):
    """`prdc` as a metric of `evaluate`."""

    definition = metric.Prdc
