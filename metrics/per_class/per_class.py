"""Door for Hugging Face: `evaluate.load("metrics/per_class")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.per_class import metric


class PerClass(hf.LabelledTextDoor):
    """`per_class` as a metric of `evaluate`."""

    definition = metric.PerClass
