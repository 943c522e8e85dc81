"""Door for Hugging Face: `evaluate.load("metrics/exact_match")`. The definition is in `metric.py`."""

from metrics.common import rewriting_door
from metrics.exact_match import metric


class ExactMatch(rewriting_door.RewriteDoor):
    """`exact_match` as a metric of `evaluate`."""

    definition = metric.ExactMatch
