"""Door for Hugging Face: `evaluate.load("metrics/train_overlap")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.train_overlap import metric


class TrainOverlap(hf.TextDoor):
    """`train_overlap` as a metric of `evaluate`."""

    definition = metric.TrainOverlap
