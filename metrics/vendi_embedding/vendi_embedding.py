"""Door for Hugging Face: `evaluate.load("metrics/vendi_embedding")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.vendi_embedding import metric


class VendiEmbedding(hf.TextDoor):
    """`vendi_embedding` as a metric of `evaluate`."""

    definition = metric.VendiEmbedding
