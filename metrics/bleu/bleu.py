"""Door for Hugging Face: `evaluate.load("metrics/bleu")`. The definition is in `metric.py`."""

from metrics.bleu import metric
from metrics.common import hf


class Bleu(hf.TextDoor):
    """`bleu` as a metric of `evaluate`."""

    definition = metric.Bleu
