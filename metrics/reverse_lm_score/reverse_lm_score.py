"""Door for Hugging Face: `evaluate.load("metrics/reverse_lm_score")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.reverse_lm_score import metric


class ReverseLmScore(hf.TextDoor):
    """`reverse_lm_score` as a metric of `evaluate`."""

    definition = metric.ReverseLmScore
