"""Door for Hugging Face: `evaluate.load("metrics/ngram_entropy")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.ngram_entropy import metric


class NgramEntropy(hf.TextDoor):
    """`ngram_entropy` as a metric of `evaluate`."""

    definition = metric.NgramEntropy
