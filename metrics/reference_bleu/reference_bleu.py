"""Door for Hugging Face: `evaluate.load("metrics/reference_bleu")`. The definition is in `metric.py`."""

from metrics.common import rewriting_door
from metrics.reference_bleu import metric


class ReferenceBleu(rewriting_door.RewriteDoor):
    """`reference_bleu` as a metric of `evaluate`."""

    definition = metric.ReferenceBleu
