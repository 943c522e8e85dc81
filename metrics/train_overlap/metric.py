"""Train overlap: how long a piece of each sample stands word for word in the training text."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from metrics.common.base import Aspect, Better, Bounds, Meaning, MetricInputs
from metrics.common.ngrams import Walk
from metrics.common.tokens import Tokens
from metrics.common.uncertainty import MeanMetric, PerSentence

__all__ = ["TrainOverlap"]


@dataclass(frozen=True, kw_only=True)
class TrainOverlap(MeanMetric):
    """The longest run of words that a sample and one training sentence share.

    Keys `train_overlap` (as a share of the sample's words, mean over the samples), `train_overlap_words` (its words,
    mean) and `train_overlap_copied` (share of the samples that are such a run from end to end).
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"
    aspect: ClassVar[Aspect] = "memorisation"
    bounds: ClassVar[Bounds] = (0.0, 1.0)
    needs: ClassVar[tuple[str, ...]] = ("training",)
    counted: ClassVar[tuple[str, ...]] = needs
    """More training text, longer runs."""

    def keys(self) -> dict[str, Better]:
        """As a share, in words, and of whole samples."""
        return dict.fromkeys(["train_overlap", "train_overlap_words", "train_overlap_copied"], self.better)

    def meaning(self, key: str) -> Meaning:
        """Words have no upper end."""
        meaning = super().meaning(key)
        return replace(meaning, bounds=(0.0, None)) if key == "train_overlap_words" else meaning

    def by_sentence(self, inputs: MetricInputs) -> dict[str, PerSentence]:
        """An empty sample shares nothing."""
        assert inputs.training is not None
        lengths = inputs.samples.lengths
        longest = longest_shared(inputs.samples, inputs.training)
        return {
            "train_overlap": PerSentence(longest / np.maximum(1, lengths)),
            "train_overlap_words": PerSentence(longest.astype(np.float64)),
            "train_overlap_copied": PerSentence(((longest == lengths) & (lengths > 0)).astype(np.float64)),
        }


def longest_shared(samples: Tokens, corpus: Tokens) -> NDArray[np.int64]:
    """(N,) tokens of the longest run that each sample shares with a sentence of the corpus.

    Order by order, n-grams that only one side holds are not extended, so the work ends where the longest run does.
    """
    n = len(samples)
    longest = np.zeros(n, np.int64)
    for walk in Walk(samples.followed_by(corpus)).orders(int(samples.lengths.max(initial=0))):
        runs = walk.runs()
        by_samples = runs.by_ngram((runs.sentence < n).astype(np.int64))
        shared = (by_samples > 0) & (by_samples < np.diff(runs.first, append=len(runs.gram)))
        holders = runs.sentence[shared[runs.gram]]
        longest[holders[holders < n]] = walk.order
        if not shared.any():
            break
        walk.name(np.where(shared, np.cumsum(shared) - 1, -1))
    return longest
