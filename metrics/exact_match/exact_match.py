"""Door for Hugging Face: `evaluate.load("metrics/exact_match")`. The definition is in `metric.py`."""

from metrics.exact_match import metric
from metrics.common import rewriting_door


class ExactMatch(rewriting_door.RewriteDoor):
    """`exact_match` as a metric of `evaluate`."""

    definition = metric.ExactMatch
