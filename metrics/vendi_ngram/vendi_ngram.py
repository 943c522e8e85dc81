"""Door for Hugging Face: `evaluate.load("metrics/vendi_ngram")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.vendi_ngram import metric


class VendiNgram(hf.TextDoor):
    """`vendi_ngram` as a metric of `evaluate`."""

    definition = metric.VendiNgram
