"""Door for Hugging Face: `evaluate.load("metrics/compression_ratio")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.compression_ratio import metric


class CompressionRatio(hf.TextDoor):
    """`compression_ratio` as a metric of `evaluate`."""

    definition = metric.CompressionRatio
