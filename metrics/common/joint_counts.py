"""n-gram counts of the samples and of a real corpus side by side: what metrics of both distributions compare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.common.ngrams import ngram_runs
from metrics.common.tokens import Tokens

__all__ = ["JointCounts", "joint_counts"]

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class JointCounts:
    """The n-grams of one order. A row says that sample `sentence[r]` holds n-gram `gram[r]` `count[r]` times."""

    gram: Ids
    """(R,)"""
    sentence: Ids
    """(R,)"""
    count: Ids
    """(R,)"""
    ours: Ids
    """(G,) how often the samples hold each n-gram."""
    theirs: Ids
    """(G,) how often the real corpus does."""
    n_samples: int

    def by_sentence(self, rows: NDArray[np.float64] | Ids) -> NDArray[np.float64]:
        """(R,) -> (N,) the sum over the n-grams that each sample holds."""
        return np.bincount(self.sentence, rows, self.n_samples).astype(np.float64, copy=False)


def joint_counts(samples: Tokens, real: Tokens, max_order: int) -> Iterator[JointCounts]:
    """Order by order from 1 to `max_order`, every n-gram of either side."""
    n = len(samples)
    for runs in ngram_runs(samples.followed_by(real), max_order):
        is_ours = runs.sentence < n
        ours = runs.by_ngram(np.where(is_ours, runs.count, 0))
        yield JointCounts(
            gram=runs.gram[is_ours],
            sentence=runs.sentence[is_ours],
            count=runs.count[is_ours],
            ours=ours,
            theirs=runs.by_ngram(runs.count) - ours,
            n_samples=n,
        )
