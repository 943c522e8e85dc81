"""Door for Hugging Face: `evaluate.load("metrics/reverse_lm_score_known")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.reverse_lm_score_known import metric


class ReverseLmScoreKnown(hf.TextDoor):
    """`reverse_lm_score_known` as a metric of `evaluate`."""

    definition = metric.ReverseLmScoreKnown
