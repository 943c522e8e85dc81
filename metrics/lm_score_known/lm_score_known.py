"""Door for Hugging Face: `evaluate.load("metrics/lm_score_known")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.lm_score_known import metric


class LmScoreKnown(hf.TextDoor):
    """`lm_score_known` as a metric of `evaluate`."""

    definition = metric.LmScoreKnown
