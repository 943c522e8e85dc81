"""Door for Hugging Face: `evaluate.load("metrics/corpus_bleu")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.corpus_bleu import metric


class CorpusBleu(hf.TextDoor):
    """`corpus_bleu` as a metric of `evaluate`."""

    definition = metric.CorpusBleu
