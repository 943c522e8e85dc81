"""Door for Hugging Face: `evaluate.load("metrics/novelty_gap")`. The definition is in `metric.py`."""

from metrics.common import hf
from metrics.novelty_gap import metric


class NoveltyGap(hf.TextDoor):
    """`novelty_gap` as a metric of `evaluate`."""

    definition = metric.NoveltyGap
