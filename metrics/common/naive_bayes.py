"""A judge of classes that is trained: multinomial naive Bayes on the words and pairs of words that a text holds.

Wang and Manning 2012, "Baselines and Bigrams" (https://aclanthology.org/P12-2018), MNB-bi: each feature counts once in
a text, counts are smoothed by 1. It has no iteration and no random number, so equal text gives an equal judge.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.common.labels import Judge, Labels, hits
from metrics.common.tokens import Tokens

__all__ = ["NaiveBayes", "trained_judge"]

_VERSION = 1
_PAIR = 1 << 31
"""Pairs of words are numbered from here; words have smaller numbers."""

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class NaiveBayes:
    """p(class | text), from how many training texts of each class hold a feature."""

    features: Ids
    """(F,) sorted: the features of the training text."""
    counts: Ids
    """(K, F) in how many texts of each class."""
    texts: Ids
    """(K,) training texts of each class."""

    @staticmethod
    def fit(texts: Tokens, labels: Labels, n_classes: int) -> NaiveBayes:
        """From N texts and their classes (N,), from 0."""
        text, feature = _features(texts)
        features, index = np.unique(feature, return_inverse=True)
        cells = labels[text] * len(features) + index
        counts = np.bincount(cells, minlength=n_classes * len(features)).reshape(n_classes, -1)
        return NaiveBayes(features, counts, np.bincount(labels, minlength=n_classes))

    def posteriors(self, texts: Tokens) -> Floats:
        """(N, K) p(class | text); what the training text does not hold says nothing."""
        text, feature = _features(texts)
        place = np.searchsorted(self.features, feature).clip(max=max(0, len(self.features) - 1))
        known = self.features[place] == feature if len(self.features) else np.zeros(len(feature), bool)
        text, place = text[known], place[known]
        rates = np.log(self.counts + 1) - np.log(self.counts.sum(axis=1, keepdims=True) + len(self.features))
        logs = np.stack([np.bincount(text, rate[place], minlength=len(texts)) for rate in rates], axis=1)
        logs = logs + np.log(self.texts / self.texts.sum())
        likelihood = np.exp(logs - logs.max(axis=1, keepdims=True))
        return likelihood / likelihood.sum(axis=1, keepdims=True)

    @property
    def sha256(self) -> str:
        """Of all counts."""
        total = hashlib.sha256()
        for array in (self.features, self.counts, self.texts):
            total.update(np.ascontiguousarray(array, "<i8").tobytes())
        return total.hexdigest()


def trained_judge(texts: Tokens, labels: Labels, n_classes: int, others: Tokens, their_labels: Labels) -> Judge:
    """A judge from N texts and their classes; how good it is, is measured on others.

    ValueError for a class without a text.
    """
    model = NaiveBayes.fit(texts, labels, n_classes)
    if not model.texts.all():
        raise ValueError(f"a judge needs a text of each class, and class {int(model.texts.argmin())} has none")
    right = hits(model.posteriors(others), their_labels)
    return Judge(
        name=f"naive_bayes@{_VERSION}",
        posteriors=model.posteriors,
        accuracy=round(float(right.mean()), 4),
        sha256=model.sha256,
    )


def _features(texts: Tokens) -> tuple[Ids, Ids]:
    """The different features of each text: the text's number, and the feature's."""
    text = np.repeat(np.arange(len(texts)), texts.lengths)
    inside = text[1:] == text[:-1]
    pairs = (texts.flat[:-1] + 1) * _PAIR + texts.flat[1:]
    owner, found = np.concatenate([text, text[1:][inside]]), np.concatenate([texts.flat, pairs[inside]])
    order = np.lexsort((found, owner))
    owner, found = owner[order], found[order]
    first = np.ones(len(found), bool)
    first[1:] = (owner[1:] != owner[:-1]) | (found[1:] != found[:-1])
    return owner[first], found[first]
