"""Door for Hugging Face: `evaluate.load("metrics/novelty")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.novelty import metric


class Novelty(hf.TextDoor):
    """`novelty` as a metric of `evaluate`."""

    definition = metric.Novelty
