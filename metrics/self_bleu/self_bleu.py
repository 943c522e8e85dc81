"""Door for Hugging Face: `evaluate.load("metrics/self_bleu")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.self_bleu import metric


class SelfBleu(hf.TextDoor):
    """`self_bleu` as a metric of `evaluate`."""

    definition = metric.SelfBleu
