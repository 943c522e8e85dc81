"""Door for Hugging Face: `evaluate.load("metrics/transfer")`. The definition is in `metric.py`."""

from metrics.transfer import metric
from metrics.common import rewriting_door


class Transfer(rewriting_door.RewriteDoor):
    """`transfer` as a metric of `evaluate`."""

    definition = metric.Transfer
