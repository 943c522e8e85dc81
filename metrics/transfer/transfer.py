"""Door for Hugging Face: `evaluate.load("metrics/transfer")`. The definition is in `metric.py`."""

from metrics.common import rewriting_door
from metrics.transfer import metric


class Transfer(rewriting_door.RewriteDoor):
    """`transfer` as a metric of `evaluate`."""

    definition = metric.Transfer
