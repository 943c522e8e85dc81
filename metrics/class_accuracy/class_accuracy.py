"""Door for Hugging Face: `evaluate.load("metrics/class_accuracy")`. The definition is in `metric.py`."""

from metrics.class_accuracy import metric
from metrics.common import hf


class ClassAccuracy(hf.LabelledTextDoor):
    """`class_accuracy` as a metric of `evaluate`."""

    definition = metric.ClassAccuracy
