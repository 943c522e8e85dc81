"""Door for Hugging Face: `evaluate.load("metrics/target_nll")`. The definition is in `metric.py`."""

from metrics.target_nll import metric
from metrics.common import rewriting_door


class TargetNll(rewriting_door.RewriteDoor):
    """`target_nll` as a metric of `evaluate`."""

    definition = metric.TargetNll
