"""Door for Hugging Face: `evaluate.load("metrics/nll_train_padded")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.nll_train_padded import metric


class NllTrainPadded(hf.IdsDoor):
    """`nll_train_padded` as a metric of `evaluate`."""

    definition = metric.NllTrainPadded
    column = "references"
