"""Door for Hugging Face: `evaluate.load("metrics/ngram_jsd")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.ngram_jsd import metric


class NgramJsd(hf.TextDoor):
    """`ngram_jsd` as a metric of `evaluate`."""

    definition = metric.NgramJsd
