"""Negative log-likelihood per token, and why it may be absent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["NO_ORACLE", "evenly", "nats", "scored_tokens", "without_probability"]

NO_ORACLE = "the true distribution of the task is not known"
_ROUNDING = 1e-4
"""Nats by which a log-probability may be above 0: a sum of float32 logarithms of probabilities near 1."""


def evenly(rows: NDArray[np.int64], most: int = 2_000) -> NDArray[np.int64]:
    """(N, T) sentences that something is fitted or selected on -> at most so many of them, spread evenly."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)]


def scored_tokens(rows: NDArray[np.int64], eos_id: int | None) -> NDArray[np.int64]:
    """(N, T) ids -> (N,) tokens that a sentence's probability is made of: up to and including its end token, or T."""
    n, width = rows.shape
    if eos_id is None:
        return np.full(n, width, np.int64)
    ends = rows == eos_id
    return np.where(ends.any(axis=1), ends.argmax(axis=1) + 1, width)


def nats(log_prob: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N,) negative log-probabilities of the sentences.

    ValueError unless there is one for each of the (N, T) rows, and where one is above 0: no probability is over 1.
    """
    values = np.asarray(log_prob, np.float64)
    if values.shape != (len(rows),):
        raise ValueError(f"expected one log-probability for each of {len(rows)} sentences, got shape {values.shape}")
    if (values > _ROUNDING).any():
        i = int(np.nanargmax(values))
        raise ValueError(
            f"log_prob gives sentence {i} {values[i]:.4g}, a probability over 1: return the natural logarithm of its "
            "probability, summed over its tokens"
        )
    return -values


def without_probability(nats_of: NDArray[np.float64]) -> int:
    """How many sentences have no finite log-probability: impossible ones, and those of a model that diverged."""
    return int(np.count_nonzero(~np.isfinite(nats_of)))
