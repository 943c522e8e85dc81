"""Door for Hugging Face: `evaluate.load("metrics/chrf")`. The definition is in `metric.py`."""

from metrics.chrf import metric
from metrics.common import hf


class Chrf(hf.TextDoor):
    """`chrf` as a metric of `evaluate`."""

    definition = metric.Chrf
