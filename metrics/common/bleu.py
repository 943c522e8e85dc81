"""The BLEU score of a sentence from its counts, as `sentence_bleu` of NLTK 3.3 and later defines it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from metrics.common.base import Metric, MetricInputs
from metrics.common.ngrams import reference_index
from metrics.common.tokens import Tokens
from metrics.common.uncertainty import MeanMetric, PerSentence

__all__ = ["BleuAgainstText", "BleuMetric", "Smoothing", "bleu_against", "sentence_bleu"]

Smoothing = Literal["method0", "method1"]
"""What an order without a match counts: NLTK's names. method1: 0.1 match (Chen and Cherry 2014); method0: almost 0."""


@dataclass(frozen=True, kw_only=True)
class BleuMetric(Metric):
    """A mean of sentence BLEU."""

    orders: tuple[int, ...] = (2, 3, 4, 5)
    """One score for each; BLEU-n weighs the orders 1 to n equally."""
    smoothing: Smoothing = "method1"
    """What an order without a match counts, by NLTK's names."""


@dataclass(frozen=True, kw_only=True)
class BleuAgainstText(BleuMetric, MeanMetric):
    """Over all samples, each against all sentences of one real text: the only one in `needs`."""

    def by_sentence(self, inputs: MetricInputs) -> dict[str, PerSentence]:
        """Sentence BLEU of each order."""
        (text,) = self.needs
        scores = bleu_against(inputs.samples, getattr(inputs, text), self.orders, self.smoothing)
        return {f"{self.name}_{order}": PerSentence(row) for order, row in zip(self.orders, scores, strict=True)}


def sentence_bleu(
    matches: NDArray[np.float64],
    lengths: NDArray[np.int64],
    closest: NDArray[np.int64],
    orders: tuple[int, ...],
    smoothing: Smoothing,
) -> NDArray[np.float64]:
    """(max_order, N) clipped matches, (N,) lengths, (N,) nearest reference lengths -> (len(orders), N) scores.

    BLEU-n = min(1, exp(1 - r/c)) * (p_1 ... p_n)^(1/n) and p_k = matches / max(1, c - k + 1), with c tokens in the
    sentence and r in the reference of the nearest length (Papineni et al. 2002, section 2.3). No common word: 0.
    """
    max_order = max(orders)
    possible = np.maximum(1, lengths - np.arange(max_order)[:, None])
    unmatched = 0.1 / possible if smoothing == "method1" else np.full(possible.shape, sys.float_info.min)
    log_precision = np.log(np.where(matches[:max_order] > 0, matches[:max_order] / possible, unmatched))
    sums = np.cumsum(log_precision, axis=0)
    penalty = np.minimum(0.0, 1.0 - closest / np.maximum(1, lengths))
    scores = np.stack([np.exp(penalty + sums[order - 1] / order) for order in orders])
    scores[:, matches[0] == 0] = 0.0
    return scores


def bleu_against(
    samples: Tokens, references: Tokens, orders: tuple[int, ...], smoothing: Smoothing
) -> NDArray[np.float64]:
    """(len(orders), N) BLEU of each sample against all references; their index is kept for the next evaluation."""
    index = reference_index(references, max(orders))
    lengths = samples.lengths
    return sentence_bleu(index.matches(samples), lengths, index.closest_lengths(lengths), orders, smoothing)
