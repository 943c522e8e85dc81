"""Door for Hugging Face: `evaluate.load("metrics/input_bleu")`. The definition is in `metric.py`."""

from metrics.common import rewriting_door
from metrics.input_bleu import metric


class InputBleu(rewriting_door.RewriteDoor):
    """`input_bleu` as a metric of `evaluate`."""

    definition = metric.InputBleu
