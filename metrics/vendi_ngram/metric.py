"""Vendi score on n-grams: how many different sentences there are in effect, by the n-grams that they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse

from metrics.common.base import Aspect, Better, Bounds, Estimate, MetricInputs
from metrics.common.ngrams import ngram_runs
from metrics.common.tokens import Tokens
from metrics.common.uncertainty import EstimatedMetric
from metrics.common.vendi import mean_over_groups

__all__ = ["VendiNgram", "ngram_vectors"]


@dataclass(frozen=True, kw_only=True)
class VendiNgram(EstimatedMetric):
    """Mean Vendi score of groups of the samples, two being alike by the cosine of their n-gram counts.

    Key `vendi_ngram`.
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"
    aspect: ClassVar[Aspect] = "diversity"
    bounds: ClassVar[Bounds] = (1.0, None)

    orders: tuple[int, ...] = (1, 2, 3, 4)
    """Orders of the n-grams; the similarity is the mean over them."""
    sentences: int = 1000
    """Of a group, about."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.sentences, bool) or not isinstance(self.sentences, int) or self.sentences < 1:
            raise ValueError(f"{self.name}: sentences must be a whole number from 1, got {self.sentences!r}")

    def keys(self) -> dict[str, Better]:
        """One for all orders together."""
        return {self.name: self.better}

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """The standard error is that of a mean over groups."""
        return {self.name: mean_over_groups(ngram_vectors(inputs.samples, self.orders), self.sentences)}


def ngram_vectors(corpus: Tokens, orders: tuple[int, ...]) -> scipy.sparse.csr_array:
    """(N, features) vectors of length 1, whose product is the mean over the orders of the cosines of n-gram counts.

    A sentence too short for some orders has the mean over the others. One that has none is like those alone that have
    none either.
    """
    n = len(corpus)
    had = sum((corpus.lengths >= order).astype(np.int64) for order in orders)
    bare = np.flatnonzero(had == 0)
    rows, columns, values = [bare], [np.zeros_like(bare)], [np.ones(len(bare))]
    width = 1
    for order, runs in enumerate(ngram_runs(corpus, max(orders)), 1):
        if order in orders:
            length = np.sqrt(runs.by_sentence(runs.count.astype(np.float64) ** 2, n) * had)
            rows.append(runs.sentence)
            columns.append(width + runs.gram)
            values.append(runs.count / length[runs.sentence])
            width += len(runs.first)
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return scipy.sparse.csr_array(entries, shape=(n, width))
