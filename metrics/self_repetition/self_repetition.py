"""Door for Hugging Face: `evaluate.load("metrics/self_repetition")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.self_repetition import metric


class SelfRepetition(hf.TextDoor):
    """`self_repetition` as a metric of `evaluate`."""

    definition = metric.SelfRepetition
