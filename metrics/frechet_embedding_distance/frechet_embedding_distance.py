"""Door for Hugging Face: `evaluate.load("metrics/frechet_embedding_distance")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.frechet_embedding_distance import metric


class FrechetEmbeddingDistance(hf.TextDoor):
    """`frechet_embedding_distance` as a metric of `evaluate`."""

    definition = metric.FrechetEmbeddingDistance
