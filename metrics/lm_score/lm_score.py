"""Door for Hugging Face: `evaluate.load("metrics/lm_score")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.lm_score import metric


class LmScore(hf.TextDoor):
    """`lm_score` as a metric of `evaluate`."""

    definition = metric.LmScore
