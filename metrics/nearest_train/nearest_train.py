"""Door for Hugging Face: `evaluate.load("metrics/nearest_train")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.nearest_train import metric


class NearestTrain(hf.TextDoor):
    """`nearest_train` as a metric of `evaluate`."""

    definition = metric.NearestTrain
