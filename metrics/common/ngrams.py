"""Exact n-gram counts of whole corpora, in NumPy, without a Python loop over sentences.

An n-gram is an integer: the rank of the pair (its first n-1 tokens, its last token) among the pairs that occur, so
there is no hash and no collision. Sorting the pairs together with their positions brings equal n-grams side by side
and, within an n-gram, equal sentences side by side; the lengths of these runs are the counts. One sort per order does
everything.

Corpora that are compared share one numbering of words (see `Tokens`).
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.common.tokens import Tokens

__all__ = [
    "ReferenceIndex",
    "Runs",
    "Walk",
    "check_orders",
    "leave_one_out_lengths",
    "leave_one_out_matches",
    "matched_elsewhere",
    "ngram_runs",
    "ngrams_by_sentence",
    "reference_index",
    "shared_runs",
]

Ids = NDArray[np.int64]

_WORD_BITS = 63
"""Bits of a non-negative int64: where an n-gram and its position fit in together, one plain sort does."""


@dataclass(frozen=True, eq=False)
class Runs:
    """The n-grams of one order by sentence: row r says that sentence `sentence[r]` holds `gram[r]` `count[r]` times."""

    gram: Ids
    """(R,) rank of the n-gram among those that occur, ascending."""
    sentence: Ids
    """(R,) ascending within an n-gram."""
    count: Ids
    """(R,)"""
    first: Ids
    """(G,) the first row of each n-gram."""

    def by_ngram(self, rows: NDArray[Any]) -> NDArray[Any]:
        """(R,) -> (G,) the sum over the sentences that hold the n-gram."""
        return np.add.reduceat(rows, self.first) if len(rows) else rows

    def by_sentence(self, rows: NDArray[Any], n: int) -> NDArray[np.float64]:
        """(R,) -> (n,) the sum over the n-grams that the sentence holds, for the first n sentences."""
        return np.bincount(self.sentence, rows, n)[:n].astype(np.float64, copy=False)


class Walk:
    """Goes through the n-grams of a corpus, order by order; only n-grams that get an id are extended to the next."""

    def __init__(self, corpus: Tokens) -> None:
        self.order = 1
        self._sentence = np.repeat(np.arange(len(corpus)), corpus.lengths)
        self._end = corpus.offsets[1:][self._sentence]
        self._word_ids = np.full(len(corpus.flat), -1, np.int64)
        self._sort(corpus.flat, np.arange(len(corpus.flat)))

    def _sort(self, keys: Ids, positions: Ids) -> None:
        """Bring equal keys together; among equal keys positions ascend, as they do on entry."""
        keys, self._positions = _sorted_together(keys, positions, len(self._end))
        self._new = np.ones(len(keys), np.bool_)
        self._new[1:] = keys[1:] != keys[:-1]
        self.keys = keys[self._new]
        """(G,) the n-grams that occur, ascending; two corpora have equal keys for equal n-grams if ids were equal."""
        self._gram = np.cumsum(self._new) - 1

    def runs(self) -> Runs:
        """Counts by n-gram and sentence."""
        sentence = self._sentence[self._positions]
        new = self._new.copy()
        new[1:] |= sentence[1:] != sentence[:-1]
        starts = np.flatnonzero(new)
        first = np.flatnonzero(self._new[starts])
        return Runs(self._gram[starts], sentence[starts], np.diff(starts, append=len(new)), first)

    def extend(self, ids: Ids, n_words: int) -> None:
        """Go to the next order. `ids` (G,) are the n-grams' ids, -1 drops one; `n_words` is above every word's id."""
        named = ids[self._gram]
        if self.order == 1:
            self._word_ids[self._positions] = named
        last = self._positions + self.order
        kept = np.flatnonzero((named >= 0) & (last < self._end[self._positions]))
        words = self._word_ids[last[kept]]
        known = words >= 0
        kept = kept[known]
        self.order += 1
        self._sort(named[kept] * n_words + words[known], self._positions[kept])


def _sorted_together(keys: Ids, positions: Ids, n_positions: int) -> tuple[Ids, Ids]:
    """Sort by key, then by position; positions ascend among equal keys already."""
    bits = n_positions.bit_length()
    if len(keys) and int(keys.max()).bit_length() + bits > _WORD_BITS:
        order = np.argsort(keys, kind="stable")
        return keys[order], positions[order]
    packed = (keys << bits) | positions
    packed.sort()
    return packed >> bits, packed & ((1 << bits) - 1)


class ReferenceIndex:
    """What BLEU asks of a set of references, prepared once for any number of evaluations. Keeps no sentence."""

    def __init__(self, references: Tokens, max_order: int) -> None:
        self.max_order = max_order
        self._lengths = np.unique(references.lengths)
        self._keys: list[Ids] = []
        self._most: list[NDArray[np.int32]] = []
        walk = Walk(references)
        for _ in range(max_order):
            runs = walk.runs()
            self._keys.append(walk.keys)
            self._most.append(np.maximum.reduceat(runs.count, runs.first).astype(np.int32))
            walk.extend(np.arange(len(walk.keys)), len(self._keys[0]))

    def _look_up(self, samples: Tokens) -> Iterator[tuple[Ids, Ids, NDArray[np.int32]]]:
        """By order, a row for each n-gram of a sample that the references hold: sample, count, most in a reference."""
        walk = Walk(samples)
        for keys, most in zip(self._keys, self._most, strict=True):
            at = np.searchsorted(keys, walk.keys)
            at[at == len(keys)] = 0
            found = keys[at] == walk.keys if len(keys) else np.zeros(len(at), np.bool_)
            ids = np.where(found, at, -1)
            runs = walk.runs()
            held = found[runs.gram]
            yield runs.sentence[held], runs.count[held], most[ids[runs.gram[held]]]
            walk.extend(ids, len(self._keys[0]))

    def matches(self, samples: Tokens) -> NDArray[np.float64]:
        """(max_order, N) n-grams of each sample that a reference holds, each counted at most as often as there."""
        rows = self._look_up(samples)
        return np.stack([np.bincount(sample, np.minimum(count, most), len(samples)) for sample, count, most in rows])

    def seen(self, samples: Tokens) -> NDArray[np.float64]:
        """(max_order, N) n-grams of each sample, repetitions counted, that some reference holds."""
        return np.stack([np.bincount(sample, count, len(samples)) for sample, count, _ in self._look_up(samples)])

    def closest_lengths(self, lengths: Ids) -> Ids:
        """(N,) -> (N,) for each length the nearest length of a reference; of two equally near the shorter."""
        return _nearest(self._lengths, lengths)


_indexes: weakref.WeakKeyDictionary[Tokens, ReferenceIndex] = weakref.WeakKeyDictionary()


def reference_index(references: Tokens, max_order: int) -> ReferenceIndex:
    """The index of these references, built at the first call and kept as long as `references` lives."""
    index = _indexes.get(references)
    if index is None or index.max_order < max_order:
        index = _indexes[references] = ReferenceIndex(references, max_order)
    return index


def shared_runs(corpus: Tokens, max_order: int) -> Iterator[Runs]:
    """As `ngram_runs`, but n-grams of a single sentence are not extended: their extensions are not shared either."""
    walk = Walk(corpus)
    n_words = 0
    for order in range(1, max_order + 1):
        runs = walk.runs()
        yield runs
        shared = np.diff(runs.first, append=len(runs.gram)) > 1
        n_words = int(shared.sum()) if order == 1 else n_words
        walk.extend(np.where(shared, np.cumsum(shared) - 1, -1), n_words)


def matched_elsewhere(runs: Runs) -> Ids:
    """(R,) the run's count, at most as great as the greatest count in another sentence.

    The others' greatest count is the greatest of all, unless one sentence alone reaches that: then, for that sentence,
    it is the second greatest. N-grams of a single sentence match nowhere.
    """
    most = np.maximum.reduceat(runs.count, runs.first)
    tops = runs.count == most[runs.gram]
    owners = np.add.reduceat(tops.astype(np.int64), runs.first)
    second = np.maximum.reduceat(np.where(tops, 0, runs.count), runs.first)
    return np.where(tops & (owners[runs.gram] == 1), second[runs.gram], runs.count)


def leave_one_out_matches(samples: Tokens, max_order: int) -> NDArray[np.float64]:
    """(max_order, N) n-grams of each sample that another sample holds, each counted at most as often as there."""
    runs_by_order = shared_runs(samples, max_order)
    return np.stack([runs.by_sentence(matched_elsewhere(runs), len(samples)) for runs in runs_by_order])


def leave_one_out_lengths(lengths: Ids) -> Ids:
    """(N,) -> (N,) for each sentence the nearest length of another one; of two equally near the shorter."""
    if len(lengths) < 2:
        raise ValueError(f"leave-one-out needs at least two sentences, got {len(lengths)}")
    unique, inverse, times = np.unique(lengths, return_inverse=True, return_counts=True)
    below = np.concatenate([unique[:1], unique[:-1]])
    above = np.concatenate([unique[1:], unique[-1:]])
    use_above = (below == unique) | ((above != unique) & (above - unique < unique - below))
    nearest = np.where(times > 1, unique, np.where(use_above, above, below))
    return nearest[inverse]


def ngram_runs(corpus: Tokens, max_order: int) -> Iterator[Runs]:
    """Counts by n-gram and sentence, order by order from 1 to `max_order`."""
    walk = Walk(corpus)
    n_words = len(walk.keys)
    for _ in range(max_order):
        yield walk.runs()
        walk.extend(np.arange(len(walk.keys)), n_words)


def ngrams_by_sentence(corpus: Tokens, max_order: int) -> Ids:
    """(max_order, N) all n-grams of each sentence, repetitions counted."""
    return np.maximum(0, corpus.lengths - np.arange(max_order)[:, None])


def check_orders(metric: str, orders: tuple[int, ...]) -> None:
    """Raise ValueError unless the orders are whole numbers from 1, ascending."""
    whole = all(isinstance(order, int) and not isinstance(order, bool) and order >= 1 for order in orders)
    if not orders or not whole or list(orders) != sorted(set(orders)):
        raise ValueError(f"{metric}: orders must be different whole numbers from 1, ascending, got {orders!r}")


def _nearest(sorted_lengths: Ids, lengths: Ids) -> Ids:
    """For each length the nearest of `sorted_lengths`, which is not empty; of two equally near the shorter."""
    at = np.searchsorted(sorted_lengths, lengths)
    above = sorted_lengths[np.minimum(at, len(sorted_lengths) - 1)]
    below = sorted_lengths[np.maximum(at - 1, 0)]
    return np.where(np.abs(lengths - below) <= np.abs(above - lengths), below, above)
