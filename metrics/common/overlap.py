"""How many n-grams each sample shares with each sentence of a corpus: all pairs, block by block, in bounded memory.

The k-th occurrence of an n-gram in a sentence is a feature, so that the size of a multiset intersection is the number
of shared features: a matrix product of zeros and ones. Features that many sentences have are multiplied densely, the
others sparsely; all counts are small integers and exact.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from metrics.common.ngrams import Runs, ngram_runs
from metrics.common.tokens import Tokens

__all__ = ["BLOCK_PAIRS", "FREQUENT", "Overlap", "blocks", "overlaps"]

BLOCK_PAIRS = 1_000_000
"""Pairs of sentences held at a time, 4 bytes each: 4 MB stay in a cache."""
FREQUENT = 1 / 50
"""Features of at least this share of the corpus are dense: so many zeros cost a dense product what indices cost."""


def blocks(n: int, m: int) -> Iterator[slice]:
    """0 to n in slices of so many rows that a slice of an (n, m) matrix has a bounded number of pairs."""
    size = max(1, BLOCK_PAIRS // max(1, m))
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def overlaps(samples: Tokens, corpus: Tokens, max_order: int) -> list[Overlap]:
    """One for each order from 1 to `max_order`."""
    n = len(samples)
    return [Overlap(runs, n, len(corpus)) for runs in ngram_runs(samples.followed_by(corpus), max_order)]


class Overlap:
    """Shared n-grams of one order between N samples and M sentences."""

    def __init__(self, runs: Runs, n: int, m: int) -> None:
        held = runs.by_ngram(np.where(runs.sentence < n, 1, 0))
        shared = (held > 0) & (held < runs.by_ngram(np.ones(len(runs.gram), np.int64)))
        rows = np.flatnonzero(shared[runs.gram])
        sentence, count = np.repeat(runs.sentence[rows], runs.count[rows]), runs.count[rows]
        occurrence = np.arange(len(sentence)) - np.repeat(np.cumsum(count) - count, count)
        keys = np.repeat(runs.gram[rows], count) * (int(count.max(initial=0)) + 1) + occurrence
        features, column = np.unique(keys, return_inverse=True)
        ones = np.ones(len(sentence), np.float32)
        matrix = scipy.sparse.csr_array((ones, (sentence, column)), shape=(n + m, len(features)))
        frequent = np.bincount(column[sentence >= n], minlength=len(features)) >= max(2, FREQUENT * m)
        self._frequent_samples = matrix[:n][:, frequent].tocsr()
        self._dense_corpus = np.ascontiguousarray(matrix[n:][:, frequent].toarray().T)
        self._samples = matrix[:n][:, ~frequent].tocsr()
        self._corpus = matrix[n:][:, ~frequent].T.tocsr()

    def block(self, rows: slice) -> NDArray[np.float32]:
        """(rows, M) the number of n-grams that each of these samples shares with each sentence."""
        shared: NDArray[np.float32] = self._frequent_samples[rows].toarray() @ self._dense_corpus
        rare = (self._samples[rows] @ self._corpus).tocoo()
        shared[rare.row, rare.col] += rare.data  # a product has each pair once
        return shared
