"""Nearest training sentence: how much of each sample one single training sentence holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metrics.common.base import Aspect, Better, Bounds, MetricInputs
from metrics.common.overlap import blocks, overlaps
from metrics.common.tokens import Tokens
from metrics.common.uncertainty import MeanMetric, PerSentence

__all__ = ["Nearest", "NearestTrain", "nearest"]


class Nearest(NamedTuple):
    """For each of N samples a sentence of the corpus, and how much the two share."""

    sentence: NDArray[np.int64]
    """(N,) which sentence; of equally near ones the first."""
    overlap: NDArray[np.float64]
    """(N,) Dice coefficient, 0 to 1."""


def nearest(samples: Tokens, corpus: Tokens, order: int) -> Nearest:
    """The sentence of the corpus that shares most n-grams with each sample, of all sentences: exact, all pairs.

    Dice coefficient of the multisets of n-grams, 2 |A and B| / (|A| + |B|). A sentence counts with order - 1 marks
    before it and behind it, so that its begin and its end count and short sentences have n-grams too.
    """
    ours, theirs = _marked(samples, order), _marked(corpus, order)
    shared = overlaps(ours, theirs, order)[-1]
    n_ours, n_theirs = ours.lengths - (order - 1), theirs.lengths - (order - 1)
    best, overlap = np.empty(len(ours), np.int64), np.empty(len(ours), np.float64)
    for rows in blocks(len(ours), len(theirs)):
        counts = shared.block(rows)
        best[rows] = (counts / (n_ours[rows, None] + n_theirs)).argmax(axis=1)
        overlap[rows] = 2 * counts[np.arange(len(counts)), best[rows]] / (n_ours[rows] + n_theirs[best[rows]])
    return Nearest(best, overlap)


def _marked(corpus: Tokens, order: int) -> Tokens:
    """Every token one higher, and `order` - 1 zeros before and behind each sentence; an empty sentence has one more."""
    width = order - 1
    extra = np.where((corpus.lengths == 0) & (width == 0), 1, 2 * width)
    offsets = np.concatenate([[0], np.cumsum(corpus.lengths + extra)]).astype(np.int64)
    flat = np.zeros(offsets[-1], np.int64)
    inside = np.repeat(offsets[:-1] + width - corpus.offsets[:-1], corpus.lengths) + np.arange(len(corpus.flat))
    flat[inside] = corpus.flat + 1
    return Tokens(flat, offsets)


@dataclass(frozen=True, kw_only=True)
class NearestTrain(MeanMetric):
    """Mean over the samples of the n-gram overlap with the nearest training sentence. Key `nearest_train`."""

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"
    aspect: ClassVar[Aspect] = "memorisation"
    bounds: ClassVar[Bounds] = (0.0, 1.0)
    needs: ClassVar[tuple[str, ...]] = ("training",)
    counted: ClassVar[tuple[str, ...]] = needs
    """More training text, nearer sentences."""

    order: int = 2
    """Of the n-grams."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.order < 1:
            raise ValueError(f"nearest_train: order must be at least 1, got {self.order}")

    def by_sentence(self, inputs: MetricInputs) -> dict[str, PerSentence]:
        """The overlap of each sample with its nearest training sentence."""
        assert inputs.training is not None
        return {"nearest_train": PerSentence(nearest(inputs.samples, inputs.training, self.order).overlap)}
