"""The Vendi score of vectors: how many different sentences there are in effect, and how sure that is.

For sentences with a similarity k, k(x, x) = 1, it is the exponential of the entropy of the eigenvalues of K / n
(Friedman and Dieng 2023, definition 3.1): 1 where all are alike, n where no two have anything in common. With k the
product of vectors of length 1, X X^T and X^T X have the same eigenvalues but for zeros, so the smaller is taken.

It grows with n, and without an encoder its cost with the cube of n, so it is found of groups of sentences and averaged.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from metrics.common.base import Estimate
from metrics.common.uncertainty import ratio

__all__ = ["effective_number", "mean_over_groups"]

_GROUPS_SEED = 0
"""Of NumPy's `RandomState`, whose stream is frozen."""

Vectors = NDArray[np.floating[Any]] | scipy.sparse.csr_array


def effective_number(vectors: Vectors) -> float:
    """(n, D) vectors of length 1, n at least 1 -> their Vendi score, from 1 to the smaller of n and D."""
    n, width = vectors.shape
    gram = vectors @ vectors.T if n <= width else vectors.T @ vectors
    dense = np.asarray(gram.toarray() if scipy.sparse.issparse(gram) else gram, np.float64)
    shares = np.linalg.eigvalsh(dense) / n
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def mean_over_groups(vectors: Vectors, sentences: int) -> Estimate:
    """(N, D) -> the mean Vendi score of groups of about so many sentences, all sentences once, with its standard error.

    There are N / `sentences` groups, to the nearest number, and one at least. Which sentence is in which is drawn, so
    that no order of the sentences, periodic or by topic, is an order of the groups. The error is that of a mean of
    groups that are independent; None of one group.
    """
    n_groups = max(1, round(vectors.shape[0] / sentences))
    places = np.random.RandomState(_GROUPS_SEED).permutation(vectors.shape[0])
    return ratio(np.array([effective_number(vectors[np.sort(places[g::n_groups])]) for g in range(n_groups)]))
