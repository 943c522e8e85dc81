"""Door for Hugging Face: `evaluate.load("metrics/mauve")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.mauve import metric


class Mauve(hf.TextDoor):
    """`mauve` as a metric of `evaluate`."""

    definition = metric.Mauve
