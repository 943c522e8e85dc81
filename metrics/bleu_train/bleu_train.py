"""Door for Hugging Face: `evaluate.load("metrics/bleu_train")`. The definition is in `metric.py`."""

from metrics.bleu_train import metric
from metrics.common import hf


class BleuTrain(hf.TextDoor):
    """`bleu_train` as a metric of `evaluate`."""

    definition = metric.BleuTrain
