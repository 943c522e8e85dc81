"""A judge of classes that is counted, not trained: naive Bayes over the words and pairs of words of a sentence.

Manning, Raghavan and Schütze 2008, chapter 13 (https://nlp.stanford.edu/IR-book/): the multinomial model with add-one
smoothing. Pairs tell "not good" from "good"; Wang and Manning 2012 (https://aclanthology.org/P12-2018) find them better
than words alone on reviews.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from metrics.common.labels import Judge
from metrics.common.tokens import Tokens

__all__ = ["naive_bayes"]

Ids = NDArray[np.int64]

_NAME = "naive_bayes_2_v1"
_SMOOTHING = 1.0


def naive_bayes(texts: Sequence[Tokens], held_out: Sequence[Tokens]) -> Judge:
    """K texts of one class each, and K that they hold none of, in one numbering -> a judge; classes equally likely."""
    size = 1 + max(int(text.flat.max(initial=0)) for text in texts)
    features = [_features(text, size)[1] for text in texts]
    known, kind = np.unique(np.concatenate(features), return_inverse=True)
    begins = np.cumsum([0, *map(len, features)])
    counts = np.stack([np.bincount(kind[a:b], minlength=len(known)) for a, b in pairwise(begins)])
    smoothed = counts + _SMOOTHING
    log_p = np.log(smoothed / smoothed.sum(axis=1, keepdims=True))

    def posteriors(sentences: Tokens) -> NDArray[np.float64]:
        """(N, K); what neither text has says nothing."""
        owner, asked = _features(sentences, size)
        at = np.minimum(np.searchsorted(known, asked), len(known) - 1)
        found = known[at] == asked
        scores = np.stack(
            [np.bincount(owner[found], row[at[found]], minlength=len(sentences)) for row in log_p], axis=1
        )
        shares = np.exp(scores - scores.max(axis=1, keepdims=True, initial=-np.inf))
        return shares / shares.sum(axis=1, keepdims=True)

    right = [(posteriors(text).argmax(axis=1) == k).mean() for k, text in enumerate(held_out)]
    total = hashlib.sha256(_NAME.encode())
    for text in texts:
        total.update(text.flat.astype("<i8").tobytes())
        total.update(text.offsets.astype("<i8").tobytes())
    return Judge(name=_NAME, posteriors=posteriors, accuracy=round(float(np.mean(right)), 4), sha256=total.hexdigest())


def _features(text: Tokens, size: int) -> tuple[Ids, Ids]:
    """Sentences -> for each word and each pair of neighbours: its sentence, and a number. Begin and end are words.

    Words beyond `size` are one word, which no text of a class holds.
    """
    n, edge = len(text), size + 1
    flat = np.insert(np.minimum(text.flat, size), np.repeat(text.offsets[:-1], 1), edge)
    owner = np.repeat(np.arange(n), text.lengths + 1)
    follows = np.append(flat[1:], edge)
    inside = flat != edge
    pairs = (flat + 1) * (size + 2) + follows
    return np.concatenate([owner[inside], owner]), np.concatenate([flat[inside], pairs])
