"""Door for Hugging Face: `evaluate.load("metrics/target_nll")`. The definition is in `metric.py`."""

from metrics.common import rewriting_door
from metrics.target_nll import metric


class TargetNll(rewriting_door.RewriteDoor):
    """`target_nll` as a metric of `evaluate`."""

    definition = metric.TargetNll
